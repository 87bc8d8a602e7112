import { relative } from 'node:path';
import TestSequencer from '@jest/test-sequencer';

/** The spec files that take more than five seconds, the longest first. Most of them wait. */
export const SLOW = [
  'integration/daemon/command-line',
  'contract/clients',
  'integration/daemon/stats',
  'contract/backends',
  'conformance/older',
  'integration/dflockd/bad-replies',
  'integration/dflockd/process-exit',
  'integration/dropin/stalls',
  'integration/dflockd/stopped-waiter',
  'integration/dflockd/loss',
  'unit/locks/lease/lease-keeper.scale',
  'unit/core/engine.property',
  'integration/dflockd/strangers',
  'conformance/tcp',
  'integration/dropin/renewal',
  'conformance/duplex',
  'e2e/request-end',
  'integration/dropin/simple-distributed-lock/lock',
  'integration/dropin/loss',
  'integration/daemon/log',
  'integration/dflockd/read-timeout',
  'integration/dflockd/scale',
  'integration/redis/drivers/standalone',
  'integration/redis/drivers/sentinel',
  'integration/dflockd/auto-release',
  'integration/daemon/fuzz',
  'integration/dflockd/stalls',
  'unit/core/engine.portions',
].map((name) => `test/${name}.spec.ts`);

/** By when the last slow one starts. */
const SHARE = 0.8;

/**
 * Starts the slow spec files one after another among the others. Jest would start them together, first or last: many
 * workers would wait at the same time, with nothing to do for the cores.
 */
export default class Sequencer extends TestSequencer {
  sort(tests) {
    const places = new Map(tests.map((test) => [test, SLOW.indexOf(nameOf(test))]));
    const slow = tests.filter((test) => places.get(test) >= 0).sort((a, b) => places.get(a) - places.get(b));
    const sorted = super.sort(tests.filter((test) => places.get(test) < 0));
    const step = (sorted.length * SHARE) / slow.length + 1;
    for (const [i, test] of slow.entries()) sorted.splice(Math.round(i * step), 0, test);
    return sorted;
  }
}

const nameOf = ({ path, context }) => relative(context.config.rootDir, path).replaceAll('\\', '/');
