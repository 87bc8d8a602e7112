import { describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import {
  DistributedLock,
  DistributedSemaphore,
  type DistributedLockOptions,
  stats,
} from '../../../lib/entries/client.js';
import { type Direction, Proxy } from '../../support/proxy.js';
import { stopwatch } from '../../support/stopwatch.js';
import { inTime, until } from '../../support/until.js';
import { obliging } from './support/scripted-server.js';
import { newKey, useWorld, type World } from './support/world.js';

const KINDS = [
  ['DistributedLock', (options: DistributedLockOptions) => new DistributedLock(options)],
  ['DistributedSemaphore', (options: DistributedLockOptions) => new DistributedSemaphore({ limit: 1, ...options })],
] as const;

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

async function proxied(world: World, options: Parameters<World['daemon']>[0] = {}) {
  const daemon = await world.daemon(options);
  const proxy = await Proxy.to(daemon.port);
  world.later(() => proxy.close());
  const [host, port] = proxy.address.split(':');
  return { daemon, proxy, servers: [[host!, Number(port)]] as [string, number][] };
}

describe.each(KINDS)('loss of a %s', (_name, make) => {
  const world = useWorld();

  it.each(['reset', 'FIN'])('by %s is told within 50 ms', async (how) => {
    const { proxy, servers } = await proxied(world);
    let told = (): void => undefined;
    const lock = world.own(make({ key: newKey(), servers, onLockLost: () => told() }));
    const rounds: number[] = [];
    for (let i = 0; i < 5; i++) {
      expect(await lock.acquire()).toBe(true);
      const lost = new Promise<void>((resolve) => (told = resolve));
      const took = stopwatch();
      if (how === 'reset') proxy.reset();
      else for (const { client } of proxy.links) client.end();
      await inTime(lost, 'the loss');
      rounds.push(took());
      expect(lock.token).toBeNull();
    }
    expect(median(rounds)).toBeLessThanOrEqual(50);
    expect(await lock.acquire()).toBe(true);
  });
});

describe('a black hole', () => {
  const world = useWorld();
  const HOLES: Direction[][] = [['up', 'down'], ['up'], ['down']];
  const CASES = KINDS.flatMap(([name, make]) => HOLES.map((directions) => ({ name, make, directions })));

  /** When the loss was told, and when the daemon gave the lock to a rival. */
  async function fallIn({ make, directions }: (typeof CASES)[number]): Promise<{ lostAt: number; takenAt: number }> {
    const { daemon, proxy, servers } = await proxied(world);
    const key = newKey();
    let lostAt = Infinity;
    const onLockLost = (): void => void (lostAt = performance.now());
    const lock = world.own(make({ key, servers, leaseTtlS: 1, onLockLost }));
    const rival = world.own(make({ key, servers: daemon.servers }));
    await lock.acquire();
    const taken = rival.acquire().then(() => performance.now());
    proxy.blackHole(directions);
    const takenAt = await inTime(taken, 'the rival');
    // Otherwise the close would speak with the hole.
    proxy.reset();
    return { lostAt, takenAt };
  }

  it('is told before the daemon frees the lock, in whatever direction', async () => {
    for (const { lostAt, takenAt } of await Promise.all(CASES.map(fallIn))) expect(lostAt).toBeLessThan(takenAt);
  });
});

describe('a quiet connection', () => {
  const world = useWorld();

  /** Its last quarter, in which an answer must come, is longer than a machine stands still. */
  const READ_TIMEOUT_S = 3;
  const PATIENT = { readTimeoutMs: READ_TIMEOUT_S * 1000 };

  it('with a 60 s lease outlives the read timeout of the server', async () => {
    const { servers } = await world.daemon({ readTimeout: READ_TIMEOUT_S });
    const lost: string[] = [];
    const options = { servers, leaseTtlS: 60, onLockLost: (key: string): void => void lost.push(key) };
    const watched = world.own(new DistributedLock({ ...options, key: 'a' }, PATIENT));
    const careless = world.own(new DistributedLock({ ...options, key: 'b' }));
    await Promise.all([watched.acquire(), careless.acquire()]);
    await until(() => lost.length > 0, 'the loss of the careless');
    await pause(READ_TIMEOUT_S * 300);
    expect(lost).toEqual(['b']);
    expect(watched.token).not.toBeNull();
  });

  const whole = process.env['READ_TIMEOUT'] === '23' ? it : it.skip;
  whole(
    'with a 60 s lease outlives a read timeout of 23 s, twice: READ_TIMEOUT=23',
    async () => {
      const { servers, host, port } = await world.daemon({ readTimeout: 23 });
      const lost: string[] = [];
      const holds = KINDS.map(([key, make]) =>
        world.own(make({ key, servers, leaseTtlS: 60, onLockLost: (name) => void lost.push(name) })),
      );
      for (const hold of holds) await hold.acquire();
      const tokens = holds.map(({ token }) => token);
      await pause(50_000);
      expect(lost).toEqual([]);
      expect(holds.map(({ token }) => token)).toEqual(tokens);
      const { locks, semaphores } = await stats({ host, port });
      expect(locks.length + semaphores.length).toBeGreaterThanOrEqual(2);
    },
    60_000,
  );

  it('keeps a place in the queue', async () => {
    const { servers } = await world.daemon({ readTimeout: READ_TIMEOUT_S });
    const [first, second] = ['a', 'b'].map(() => world.own(new DistributedLock({ servers, key: 'k' }, PATIENT)));
    await first!.acquire();
    await second!.enqueue();
    await pause(READ_TIMEOUT_S * 1200);
    await first!.release();
    expect(await second!.wait(1)).toBe(true);
  });

  it('is left alone for the first half of a usual lease', async () => {
    const { HoldKeeper } = await import('../../../lib/dropin/dflockd-client/hold-keeper.js');
    const { systemClock } = await import('../../../lib/common/system.js');
    const grants = { renew: () => Promise.reject(new Error()), abandon: () => undefined };
    const keeper = new HoldKeeper(grants, systemClock, 0.5, 23_000);
    expect([1, 10, 33, 34].map((s) => keeper.renewAfter(s * 1000))).toEqual([500, 5000, 16_500, 17_000]);
    expect([60, 3600].map((s) => keeper.renewAfter(s * 1000))).toEqual([17_250, 17_250]);
    expect([0.05, 0.12, 0.2, 0.21].map((s) => keeper.renewAfter(s * 1000))).toEqual([100, 100, 100, 105]);
  });

  it('whose answers stay away is lost before the server can have closed it', async () => {
    const server = await world.scripted((lines, peer) => (lines[0] === 'n' ? undefined : obliging(60)(lines, peer)));
    let lostAt = 0;
    const lock = world.own(
      new DistributedLock(
        { key: 'k', servers: server.servers, onLockLost: () => (lostAt = performance.now()) },
        { readTimeoutMs: 400 },
      ),
    );
    const since = performance.now();
    await lock.acquire();
    const { times, stoodStill } = server.peers[0]!;
    await until(() => lostAt > 0, 'the loss');
    const standstill = server.standstills.total - stoodStill[0]!;
    expect(lostAt - times[0]! - standstill).toBeLessThanOrEqual(400);
    expect(lostAt - since).toBeGreaterThanOrEqual(300);
  });
});
