import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import { stopwatch } from '../../support/stopwatch.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;

beforeEach(async () => {
  world = await World.open();
});

afterEach(() => world.close());

/** Waiters of a key in the daemon's queue. */
const waitersOf = async (observer: LockClient, key: string): Promise<number> =>
  (await observer.stats())[0]!.locks.find((lock) => lock.key === key)?.waiters ?? 0;

describe('a line', () => {
  it.each([
    ['a lock', undefined],
    ['a semaphore', 2],
  ])(
    'is not overtaken while the lane of its first caller is connecting: %s',
    async (_, limit) => {
      const ROUNDS = 300;
      const AT_ONCE = 50;
      const holder = await world.client();
      let overtaken = 0;
      let waited = 0;
      const round = async (client: LockClient, key: string): Promise<void> => {
        const options = { limit, acquireTimeoutS: 20 };
        const others = limit === undefined ? [] : [await holder.acquire(key, options)];
        const held = await holder.acquire(key, options);
        const order: string[] = [];
        const run = async (name: string): Promise<void> => {
          const lock = await client.acquire(key, options);
          order.push(name);
          await lock.release();
        };
        const first = run('first');
        // Any moment from before its first try to after its place in the daemon's queue.
        const pause = Math.random() * 4;
        if (pause > 1) await new Promise((resolve) => setTimeout(resolve, pause));
        else for (let i = 0; i < pause * 5; i++) await new Promise((resolve) => setImmediate(resolve));
        const released = held.release();
        await Promise.all([first, run('second'), released]);
        for (const lock of others) await lock.release();
        if (order[0] !== 'first') overtaken++;
        waited++;
      };
      for (let done = 0; done < ROUNDS; done += AT_ONCE) {
        // A new client has no lane that waits already.
        const client = await world.client();
        const keys = Array.from({ length: AT_ONCE }, (_, i) => `key-${done + i}`);
        await inTime(Promise.all(keys.map((key) => round(client, key))), 'the rounds', 20_000);
        await client.close();
      }
      expect(waited).toBe(ROUNDS);
      expect(overtaken).toBe(0);
    },
    30_000,
  );

  it('of four, each with a key that the next wants, gets on when the last key is released elsewhere', async () => {
    const client = await world.client(undefined, { maxWaitLanes: 4, waitersPerKey: 1 });
    const other = await world.client();
    const keys = ['k0', 'k1', 'k2', 'k3', 'k4'];
    const blocked = await Promise.all(keys.map((key) => other.acquire(key)));
    // The first keys are got by waiting, so that their locks occupy all wait lanes.
    const callers = keys.slice(0, 4).map(async (key, i) => {
      const own = await client.acquire(key, { acquireTimeoutS: 20 });
      const next = await client.acquire(keys[i + 1]!, { acquireTimeoutS: 20 });
      await next.release();
      await own.release();
    });
    for (const [i, key] of keys.slice(0, 4).entries()) {
      await until(async () => (await waitersOf(other, key)) === 1, `a waiter for ${key}`);
      await blocked[i]!.release();
    }
    // All four hold their first key now; only the last can go on.
    await until(async () => {
      const { locks } = (await other.stats())[0]!;
      return keys.every((key) => locks.some((lock) => lock.key === key && lock.lease_expires_in_s > 0));
    }, 'all keys to be held');
    const took = stopwatch();
    await blocked[4]!.release();
    await inTime(Promise.all(callers), 'all four', 10_000);
    expect(took()).toBeLessThan(4000);
    await world.empty(other);
  });

  it.each([1, 8])('keeps its place when its first caller gives up (waitersPerKey %i)', async (waitersPerKey) => {
    const a = await world.client(undefined, { waitersPerKey });
    const b = await world.client(undefined, { waitersPerKey });
    const held = await b.acquire('key');
    const order: string[] = [];
    const stop = new AbortController();
    const run = async (client: LockClient, name: string, signal?: AbortSignal): Promise<void> => {
      const lock = await client.acquire('key', { signal, acquireTimeoutS: 20 });
      order.push(name);
      await lock.release();
    };
    const first = run(a, 'a1', stop.signal);
    await until(async () => (await waitersOf(b, 'key')) === 1, 'the first');
    const rival = world.client(undefined, { waitersPerKey });
    const foreign = run(await rival, 'b1');
    await until(async () => (await waitersOf(b, 'key')) === 2, 'the rival');
    const second = run(a, 'a2');
    if (waitersPerKey > 1) await until(async () => (await waitersOf(b, 'key')) === 3, 'the second');
    stop.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    await until(async () => (await waitersOf(b, 'key')) === 2, 'one place less');
    await held.release();
    await inTime(Promise.all([second, foreign]), 'both');
    expect(order).toEqual(['a2', 'b1']);
    await world.empty(b);
  });

  it.each([
    [1, 0, 3],
    [8, 5, 10],
    [Infinity, 80, 101],
  ])(
    'of a busy process lets a quiet one in (waitersPerKey %d): after %d to %d turns',
    async (waitersPerKey, least, most) => {
      const BUSY = 100;
      const remote = { waitersPerKey, maxWaitLanes: waitersPerKey === Infinity ? Infinity : 1024 };
      const busy = await world.client(undefined, remote);
      const quiet = await world.client(undefined, remote);
      let turns = 0;
      let over = false;
      const work = async (): Promise<void> => {
        while (!over) {
          const lock = await busy.acquire('key', { acquireTimeoutS: 30 });
          turns++;
          await new Promise((resolve) => setImmediate(resolve));
          await lock.release();
        }
      };
      const all = Array.from({ length: BUSY }, work);
      await until(() => turns > 2 * BUSY, 'a busy key', 20_000);
      const seen: number[] = [];
      const rounds = waitersPerKey === Infinity ? 3 : 20;
      for (let i = 0; i < rounds; i++) {
        const before = turns;
        const lock = await quiet.acquire('key', { acquireTimeoutS: 30 });
        seen.push(turns - before);
        await lock.release();
      }
      over = true;
      await inTime(Promise.all(all), 'the end', 20_000);
      const median = seen.sort((x, y) => x - y)[Math.floor(seen.length / 2)]!;
      expect(median).toBeGreaterThanOrEqual(least);
      expect(median).toBeLessThanOrEqual(most);
    },
    30_000,
  );
});
