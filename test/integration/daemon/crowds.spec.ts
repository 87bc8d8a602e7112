import { describe, expect, it } from '@jest/globals';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { silent } from '../../../lib/daemon/shared/logger.js';
import { resolveServerOptions } from '../../../lib/daemon/shared/options.js';
import { createEngine } from '../../../lib/daemon/shared/create-engine.js';
import { until } from '../../support/until.js';
import { GRANT, PING, acquire, statsOf, turns, useDaemons } from './harness.js';

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

  it('that leaves is seen off eight in a turn', async () => {
    const { daemon, went, stop } = await observed();
    const wires = Array.from({ length: CROWD }, () => daemon.pair());
    await turns();
    for (const wire of wires) wire.end();
    await until(() => sum(went) === CROWD);
    stop();
    // What was let in at the end of one turn may be followed by as many that come in the next.
    expect(most(went)).toBeLessThanOrEqual(2 * 8);
  });
});

/** A session that asks for much is executed in slices, so that who asks for little is heard in between. */
describe('a flood of requests', () => {
  const start = useDaemons();
  const FLOOD = 50_000;
  const requests = (count: number): string => Array.from({ length: count }, (_, i) => acquire(`flood${i}`)).join('');

  it('does not keep others waiting until it is over', async () => {
    const daemon = await start({ maxLocks: 2 * FLOOD });
    const [flood, other] = [daemon.pair(), daemon.pair()];
    flood.send(requests(FLOOD));
    await turns(2);
    expect(await other.ask(PING)).toBe('ok');
    const known = ((await statsOf(other))['locks'] as unknown[]).length;
    expect(known).toBeGreaterThan(0);
    expect(known).toBeLessThan(FLOOD);
    const answers = (await flood.read(FLOOD, 20_000)).split('\n');
    expect(answers.slice(0, FLOOD).every((answer) => GRANT.test(answer))).toBe(true);
  });

  it('is executed to its end, in order, when its peer has nothing more to say', async () => {
    const daemon = await start({ maxLocks: 2 * FLOOD });
    const flood = daemon.pair();
    const renewals = `l\nk\n0 600\n${'n\nk\nx 1\n'.repeat(FLOOD)}l\nk\n0 1\n`;
    flood.send(renewals);
    flood.end();
    const answers = (await flood.read(FLOOD + 2, 20_000)).trimEnd().split('\n');
    expect(GRANT.test(answers[0]!)).toBe(true);
    expect(answers.slice(1, -1).every((answer) => answer === 'error')).toBe(true);
    expect(answers.at(-1)).toBe('timeout');
    await flood.whenClosed();
  });

  it('may end with a wait, after which its peer is heard again', async () => {
    const daemon = await start({ maxLocks: 2 * FLOOD });
    const [flood, other] = [daemon.pair(), daemon.pair()];
    expect(await other.ask(acquire('busy'))).toMatch(GRANT);
    // So many that reading stops, and their answers so short that it is not for them.
    const count = 20_000;
    flood.send(`${'n\nk\nx 1\n'.repeat(count)}${acquire('busy', 1)}`);
    await flood.read(count + 1, 20_000);
    expect(await flood.ask(PING)).toBe('ok');
  });

  it('is not cut off by the read timeout while it waits in line, and is dropped with its session', async () => {
    const daemon = await start({ maxLocks: 2 * FLOOD, readTimeout: 0.05 });
    const [flood, gone] = [daemon.pair(), daemon.pair()];
    gone.send(requests(FLOOD));
    flood.send('n\nk\nx 1\n'.repeat(FLOOD));
    await turns(2);
    gone.destroy();
    expect((await flood.read(FLOOD, 20_000)).replaceAll('error\n', '')).toBe('');
    const other = daemon.pair();
    expect(await other.ask(acquire('flood0'))).toMatch(GRANT);
  });

  it('is executed in smaller pieces while others are heard', async () => {
    // Time that passes by being looked at: what a session may take of a turn is a number of requests then.
    let time = 0;
    const clock = { ...systemClock, now: () => (time += 0.01) };
    const driver = createEngine(resolveServerOptions({ maxLocks: 2 * FLOOD }), clock, systemEntropy, silent);
    const exec = driver.engine.exec.bind(driver.engine);
    let executed = 0;
    driver.engine.exec = (...args) => {
      executed++;
      exec(...args);
    };
    const daemon = await start({}, { driver });
    /** How many turns it takes to answer a flood. */
    async function turnsOfAFlood(inEachTurn: () => void): Promise<number> {
      const flood = daemon.pair();
      let count = 0;
      let over = false;
      const turn = (): void => {
        if (executed > 0) count++;
        executed = 0;
        inEachTurn();
        if (!over) setImmediate(turn);
      };
      turn();
      await turns(3);
      flood.send('n\nk\nx 1\n'.repeat(FLOOD));
      await flood.read(FLOOD, 20_000);
      over = true;
      flood.destroy();
      return count;
    }
    const alone = await turnsOfAFlood(() => undefined);
    const others = [daemon.pair(), daemon.pair(), daemon.pair()];
    const among = await turnsOfAFlood(() => others.forEach((other) => other.send(PING)));
    expect(alone).toBeGreaterThan(10);
    expect(among).toBeGreaterThan(alone * 1.5);
  });
});
