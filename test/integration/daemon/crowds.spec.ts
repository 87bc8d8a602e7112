import { describe, expect, it } from '@jest/globals';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { silent } from '../../../lib/daemon/logger.js';
import { resolveServerOptions } from '../../../lib/daemon/options.js';
import { createEngine } from '../../../lib/daemon/server.js';
import { until } from '../../support/until.js';
import { turns, useDaemons } from './harness.js';

/** Many connections that go in one moment are seen off in portions, so that others are heard in between. */
describe('a crowd of connections', () => {
  const start = useDaemons();
  const CROWD = 100;

  /** A daemon whose engine notes in which turn of the event loop a session ended. */
  async function observed() {
    const driver = createEngine(resolveServerOptions({}), systemClock, systemEntropy, silent);
    const { engine } = driver;
    const close = engine.close.bind(engine);
    const went = new Map<number, number>();
    let turn = 0;
    engine.close = (...args) => {
      if (!args[0].closed) went.set(turn, (went.get(turn) ?? 0) + 1);
      close(...args);
    };
    const turning = setInterval(() => undefined, 1_000);
    const next = (): void => {
      turn++;
      if (turning.hasRef()) setImmediate(next);
    };
    next();
    const daemon = await start({}, { driver });
    return { daemon, went, stop: () => void turning.unref() };
  }

  const sum = (counts: Map<number, number>): number => [...counts.values()].reduce((a, b) => a + b, 0);
  const most = (counts: Map<number, number>): number => Math.max(...counts.values());

  it('that leaves is seen off sixteen in a turn', async () => {
    const { daemon, went, stop } = await observed();
    const wires = Array.from({ length: CROWD }, () => daemon.pair());
    await turns();
    for (const wire of wires) wire.end();
    await until(() => sum(went) === CROWD);
    stop();
    // What was let in at the end of one turn may be followed by as many that come in the next.
    expect(most(went)).toBeLessThanOrEqual(2 * 16);
  });
});
