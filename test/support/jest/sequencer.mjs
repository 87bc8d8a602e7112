import { relative } from 'node:path';
import TestSequencer from '@jest/test-sequencer';

/**
 * The slow spec files, the longest first. Jest remembers how long each one took, but not in a clean checkout, where it
 * would start small files last, however long they wait.
 */
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
  'unit/core/key-map',
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

/** Starts the longest spec files first, also where Jest does not know yet how long they take. */
export default class Sequencer extends TestSequencer {
  time(test) {
    const { config, hasteFS } = test.context;
    const place = SLOW.indexOf(relative(config.rootDir, test.path).replaceAll('\\', '/'));
    // In ms, as the measured times are; only the order counts.
    const guess = place < 0 ? hasteFS.getSize(test.path) / 100 : 30_000 - place * 500;
    return super.time(test) ?? guess;
  }
}
