import { describe, expect, it } from '@jest/globals';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { silent } from '../../../lib/daemon/shared/logger.js';
import { resolveServerOptions } from '../../../lib/daemon/shared/options.js';
import { createEngine } from '../../../lib/daemon/shared/create-engine.js';
import type { Wire } from '../../support/wire.js';
import { until } from '../../support/until.js';
import { GRANT, PING, STATS, acquire, statsOf, turns, useDaemons } from './harness.js';

const KEYS = 30_000;
/** Of 200 bytes that are six each in JSON: 18 MB, more than sockets buffer. */
const READ = 15_000;

/** `stats` of many keys is made and written in portions, and others are served in between (row 1 and 2 of the load faults). */
describe('stats of many keys', () => {
  const start = useDaemons();

  /** A daemon with so many keys, of which the first is as long as it may be. */
  async function daemonWith(
    keys: number,
    nameOf = (i: number): string => `key:${i}`,
    options = {},
    clock = systemClock,
  ) {
    const driver = createEngine(resolveServerOptions({ maxLocks: 2_000_000 }), clock, systemEntropy, silent);
    const sink = { reply: () => undefined, push: () => true, evict: () => undefined };
    const session = driver.engine.open(sink, 'holder');
    for (let i = 0; i < keys; i++) {
      const acquired = { t: 'acquire', kind: 'lock', key: nameOf(i), limit: 1, waitMs: 0, leaseMs: 3_600_000 } as const;
      driver.engine.exec(session, i, acquired, clock.now());
    }
    const daemon = await start({ ...options }, { driver });
    return { daemon, driver, session };
  }

  const keysOf = (line: string): string[] => {
    const told = JSON.parse(line.slice(3)) as Record<string, { key: string }[]>;
    return [...told['locks']!, ...told['idle_locks']!].map(({ key }) => key);
  };

  it('are whole, and leave the turns between their portions to others', async () => {
    const { daemon } = await daemonWith(KEYS);
    const [asker, other] = [await daemon.open(), daemon.pair()];
    asker.send(STATS);
    let answered = 0;
    while (!asker.has(1)) {
      expect(await other.ask(PING)).toBe('ok');
      answered++;
    }
    expect(answered).toBeGreaterThan(20);
    const keys = keysOf(asker.take(1).bytes);
    expect(keys).toHaveLength(KEYS);
    expect(new Set(keys).size).toBe(KEYS);
  });

  it('are one text for all who ask in the same moment', async () => {
    let time = 0;
    // Time that passes by being looked at, so that what the daemon does is counted.
    let looks = 0;
    const clock = { ...systemClock, now: () => (looks++, (time += 0.001)) };
    const { daemon } = await daemonWith(KEYS, undefined, {}, clock);
    const askers = Array.from({ length: 20 }, () => daemon.pair());
    await turns();
    const before = looks;
    askers[0]!.send(STATS);
    await askers[0]!.read(1, 20_000);
    const one = looks - before;
    for (const asker of askers) asker.send(STATS);
    const texts = await Promise.all(askers.map((asker) => asker.read(1, 20_000)));
    expect(new Set(texts).size).toBe(1);
    expect(looks - before - one).toBeLessThan(10 * one);
  });

  it('that are too long for any client are refused, and cost nobody anything', async () => {
    // Each byte is six in JSON: 69 MB.
    const { daemon } = await daemonWith(43_500, (i) => `${i}`.padStart(256, '\xff'));
    const [asker, other] = [daemon.pair(), daemon.pair()];
    asker.send(STATS + PING);
    expect(await asker.read(2, 20_000)).toBe('error\nok\n');
    expect(await other.ask(acquire('k'))).toMatch(GRANT);
  });

  it('name a key once, which is forgotten and taken again while they are made', async () => {
    const { daemon, driver, session } = await daemonWith(KEYS);
    const asker = daemon.pair();
    asker.send(STATS);
    await turns(3);
    // Idle, forgotten, and new: at the end of what is walked through.
    driver.engine.close(session, systemClock.now(), true);
    const later = systemClock.now() + 120_000;
    for (let i = 0; i < 1_000 && driver.engine.nextWake() <= later; i++) driver.engine.advance(later, later);
    const again = daemon.pair();
    again.send(Array.from({ length: 2_000 }, (_, i) => acquire(`key:${i}`)).join(''));
    await again.read(2_000);
    const keys = keysOf(await asker.read(1, 20_000));
    expect(new Set(keys).size).toBe(keys.length);
    expect(keysOf(`ok ${JSON.stringify(await statsOf(again))}`)).toEqual(expect.arrayContaining(['key:0', 'key:1999']));
  });

  it('are answered in the order of the requests, whatever comes behind them', async () => {
    const { daemon } = await daemonWith(KEYS);
    const asker = daemon.pair();
    asker.send(`${PING}${STATS}${acquire('mine')}${STATS}${PING}`);
    asker.end();
    const lines = (await asker.read(5, 20_000)).split('\n');
    expect([lines[0], lines[4]]).toEqual(['ok', 'ok']);
    expect(lines[2]).toMatch(GRANT);
    expect(keysOf(lines[1]!)).toHaveLength(KEYS);
    expect(keysOf(lines[3]!)).toHaveLength(KEYS + 1);
    await asker.whenClosed();
  });

  it('are not mixed with signals, which come before or after', async () => {
    const { daemon } = await daemonWith(KEYS);
    const [asker, publisher] = [await daemon.open(), daemon.pair()];
    expect(await asker.ask('listen\na\n\n')).toBe('ok');
    asker.send(STATS);
    for (let i = 0; i < 20; i++) expect(await publisher.ask(`signal\na\n${i}\n`)).toBe('ok 1');
    const lines = (await asker.read(21, 20_000)).trimEnd().split('\n');
    expect(lines.filter((line) => line.startsWith('sig '))).toEqual(Array.from({ length: 20 }, (_, i) => `sig a ${i}`));
    expect(keysOf(lines.find((line) => line.startsWith('ok '))!)).toHaveLength(KEYS);
  });

  it('are given up when all who asked have gone', async () => {
    const { daemon } = await daemonWith(KEYS);
    const askers = Array.from({ length: 8 }, () => daemon.pair());
    for (const asker of askers) asker.send(STATS);
    await turns(2);
    for (const asker of askers) asker.reset();
    const other = daemon.pair();
    expect(keysOf(`ok ${JSON.stringify(await statsOf(other))}`)).toHaveLength(KEYS);
    await until(() => daemon.server.connections === 1);
  });

  it('end a reader that does not take them, and nobody who reads', async () => {
    const { daemon } = await daemonWith(READ, (i) => `${i}`.padStart(200, '\xff'), { writeTimeout: 0.5 });
    const [deaf, reader] = [await daemon.open(), await daemon.open()];
    expect(await deaf.ask(acquire('held'))).toMatch(GRANT);
    deaf.pause();
    for (const wire of [deaf, reader]) wire.send(STATS);
    expect(keysOf(await reader.read(1, 20_000))).toHaveLength(READ + 1);
    await until(() => daemon.server.connections === 1);
    expect(await reader.ask(acquire('held', 5))).toMatch(GRANT);
  });

  it('hold no memory for each of many who do not read', async () => {
    const { daemon } = await daemonWith(READ, (i) => `${i}`.padStart(200, '\xff'), { writeTimeout: 30 });
    const wires: Wire[] = [];
    for (let i = 0; i < 40; i++) wires.push(daemon.pair());
    const before = process.memoryUsage();
    for (const wire of wires) {
      wire.pause();
      wire.send(STATS);
    }
    // As many texts would be 700 MB.
    await statsOf(daemon.pair());
    await turns(50);
    const after = process.memoryUsage();
    expect(after.external + after.heapUsed - before.external - before.heapUsed).toBeLessThan(300 * 2 ** 20);
  });
});
