import { expect } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import type { LockHandle } from '../../../lib/locks/handle/lock-handle.js';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import { Proxy } from '../../support/proxy.js';
import { describeRedis } from '../../support/redis/describe-redis.js';
import { Standstills, stopwatch } from '../../support/stopwatch.js';
import { inTime, until } from '../../support/until.js';
import { allAtOnce } from './support/at-once.js';
import { median, type RedisWorld, toldAt } from './support/world.js';

const LEASE_S = 2;
const LEASE_MS = LEASE_S * 1000;
/** A renewal interval, and what the machine may take. */
const TOLD_MS = LEASE_MS / 3 + 100;
const ROUNDS = 3;
const PATIENCE_MS = 20_000;

const fenceOf = (lock: LockHandle): bigint => lock.fence!;

/**
 * A promise that is awaited later, if at all: where a scenario fails before that, its rejection, which nobody handles, would be the
 * failure of whatever test runs at the moment.
 */
function forLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Resolves with the time at which somebody who does not use this package has the key. */
function rivalIn(world: RedisWorld, key: string): Promise<number> {
  const rival = world.redis();
  const tryOn = async (): Promise<number> => {
    for (;;) {
      if ((await rival.set(`lock:${key}`, 'rival', 'PX', 60_000, 'NX')) === 'OK') return performance.now();
      await pause(5);
    }
  };
  return forLater(tryOn());
}

const queued = ({ server }: RedisWorld, key: string, count: number): Promise<unknown> =>
  until(async () => (await server.command('ZCARD', `{lock:${key}}:q`)) === count, `${count} waiters`, PATIENCE_MS);

/** A client behind a proxy. */
async function proxied(world: RedisWorld): Promise<{ client: LockClient<any>; proxy: Proxy }> {
  const proxy = await Proxy.to(world.server.port);
  world.later(() => proxy.close());
  const client = await world.client({}, { port: Number(proxy.address.split(':')[1]) });
  return { client, proxy };
}

/** Kills connections while one holds and another waits. */
async function killed(world: RedisWorld, type: string): Promise<void> {
  const [holder, waiter] = [await world.client(), await world.client()];
  const lock = await holder.acquire('key', { leaseTtlS: LEASE_S });
  const next = forLater(waiter.acquire('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 20 }));
  await queued(world, 'key', 1);
  await world.server.command('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
  await pause(LEASE_MS * 0.8);
  expect(lock.isHeld).toBe(true);
  expect(await lock.release()).toBe(true);
  const second = await inTime(next, 'the waiter', PATIENCE_MS);
  expect(fenceOf(second)).toBeGreaterThan(fenceOf(lock));
  expect(await second.release()).toBe(true);
}

describeRedis('a holder on Redis', () => {
  allAtOnce({
    'loses nothing when its connections are reset': async (world) => {
      const { client, proxy } = await proxied(world);
      const lock = await client.acquire('key', { leaseTtlS: LEASE_S });
      proxy.reset();
      await pause(LEASE_MS * 1.3);
      expect(lock.isHeld).toBe(true);
      expect(await lock.release()).toBe(true);
      expect(await world.server.command('EXISTS', 'lock:key')).toBe(0);
    },

    'loses nothing when Redis kills its connections': (world) => killed(world, 'normal'),

    'loses nothing when Redis kills its subscriptions': (world) => killed(world, 'pubsub'),

    'hears that its network is a black hole before a rival gets in': async (world) => {
      const { client, proxy } = await proxied(world);
      const lock = await client.acquire('key', { leaseTtlS: LEASE_S });
      const told = toldAt(lock);
      await pause(LEASE_MS / 4);
      // A process that stands still reads what the rival was answered before its own timers have their turn.
      const standstills = new Standstills();
      world.later(() => standstills.stop());
      proxy.blackHole();
      const rival = await inTime(rivalIn(world, 'key'), 'the rival', PATIENCE_MS);
      expect(lock.isHeld).toBe(false);
      expect((await inTime(told, 'the news')) - standstills.total).toBeLessThan(rival);
    },

    'hears that Redis is silent before a rival gets in': async (world) => {
      const client = await world.client();
      const lock = await client.acquire('key', { leaseTtlS: LEASE_S });
      const told = toldAt(lock);
      world.server.pause();
      const rival = rivalIn(world, 'key');
      await pause(LEASE_MS + 500);
      expect(lock.isHeld).toBe(false);
      world.server.resume();
      expect(await inTime(told, 'the news')).toBeLessThan(await inTime(rival, 'the rival', PATIENCE_MS));
    },

    'hears within a renewal interval that somebody deleted its key; the next fence is higher': async (world) => {
      const [client, rivals] = [await world.client(), await world.client()];
      const rounds = Array.from({ length: ROUNDS }, async (_, i) => {
        const lock = await client.acquire(`key-${i}`, { leaseTtlS: LEASE_S });
        const told = toldAt(lock);
        await pause(100 * i);
        const heard = told.then(stopwatch());
        await world.server.command('DEL', `lock:key-${i}`);
        const rival = await rivals.acquire(`key-${i}`);
        expect(fenceOf(rival)).toBeGreaterThan(fenceOf(lock));
        return inTime(heard, 'the news');
      });
      // The faults lab measures the distribution.
      expect(median(await Promise.all(rounds))).toBeLessThan(TOLD_MS);
    },

    'that watches its key hears at once that somebody deleted it': async (world) => {
      const client = await world.client({ watch: true });
      const rounds = Array.from({ length: ROUNDS }, async (_, i) => {
        const lock = await client.acquire(`key-${i}`, { leaseTtlS: 6 });
        const told = toldAt(lock);
        // Keys are watched from the first renewal on.
        await pause(2000 + 250 + 100 * i);
        const heard = told.then(stopwatch());
        await world.server.command('DEL', `lock:key-${i}`);
        return inTime(heard, 'the news');
      });
      // The next renewal would be 1,500 ms away.
      expect(median(await Promise.all(rounds))).toBeLessThan(100);
    },

    'is told when Redis comes back with nothing; the next fence is higher': async (world) => {
      const options = { reconnect: { maxDelayMs: 200 } };
      const [client, others] = [await world.client(options), await world.client(options)];
      const lock = await client.acquire('key', { leaseTtlS: 30 });
      const told = toldAt(lock);
      await world.server.restart();
      const rival = await others.acquire('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 20 });
      const at = performance.now();
      expect(fenceOf(rival)).toBeGreaterThan(fenceOf(lock));
      // At its reconnect, long before a renewal is due.
      expect((await inTime(told, 'the news')) - at).toBeLessThan(3000);
      expect(lock.isHeld).toBe(false);
    },
  });
});

describeRedis('those who wait on Redis', () => {
  allAtOnce({
    'are all served after FLUSHALL and SCRIPT FLUSH, one at a time': async (world) => {
      const clients = await Promise.all([world.client(), world.client(), world.client()]);
      const holder = await world.client();
      const lock = await holder.acquire('key', { leaseTtlS: LEASE_S });
      let inside = 0;
      const enter = async (): Promise<void> => {
        expect(++inside).toBe(1);
        await pause(10);
        inside--;
      };
      const waiting = clients.map((client) =>
        forLater(client.withLock('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 20 }, enter)),
      );
      await queued(world, 'key', 3);
      const at = performance.now();
      await world.server.command('FLUSHALL');
      await world.server.command('SCRIPT', 'FLUSH');
      await inTime(Promise.all(waiting), 'the waiters', PATIENCE_MS);
      // A poke of each, and the work of each.
      expect(performance.now() - at).toBeLessThan(3000);
      await until(() => !lock.isHeld, 'the news');
    },

    'keep their places when Redis has killed all subscriptions just before the lock is released': async (world) => {
      // None of them has subscribed again before the release.
      const options = { reconnect: { minDelayMs: 500, maxDelayMs: 500 } };
      const holder = await world.client(options);
      const clients = [await world.client(options), await world.client(options)];
      const lock = await holder.acquire('key', { leaseTtlS: 30 });
      const served: number[] = [];
      const waiting: Promise<unknown>[] = [];
      // By turns, the two of each client one after the other.
      for (const [n, at] of [0, 0, 1, 1, 0, 1].entries()) {
        const enter = (): unknown => served.push(n);
        waiting.push(forLater(clients[at]!.withLock('key', { acquireTimeoutS: 20 }, enter)));
        await queued(world, 'key', n + 1);
      }
      await world.server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      expect(await lock.release()).toBe(true);
      await inTime(Promise.all(waiting), 'the waiters', PATIENCE_MS);
      // Whoever has subscribed again first may go before the other client.
      const of = (numbers: readonly number[]): number[] => served.filter((n) => numbers.includes(n));
      expect([of([0, 1, 4]), of([2, 3, 5])]).toEqual([
        [0, 1, 4],
        [2, 3, 5],
      ]);
      for (const client of clients) expect((await client.stats())[0].lostPlaces).toBe(0);
    },

    'are served when a stranger deletes the key of their holder': async (world) => {
      const [holder, waiter] = [await world.client(), await world.client()];
      const lock = await holder.acquire('key', { leaseTtlS: 30 });
      const next = forLater(waiter.acquire('key', { acquireTimeoutS: 20 }));
      await queued(world, 'key', 1);
      const took = stopwatch();
      await world.server.command('DEL', 'lock:key');
      const second = await inTime(next, 'the waiter');
      // At the next poke, and not at the one after it.
      expect(took()).toBeLessThan(1900);
      expect(fenceOf(second)).toBeGreaterThan(fenceOf(lock));
    },

    'go on while scripts are flushed under them': async (world) => {
      const clients = await Promise.all([world.client(), world.client()]);
      let on = true;
      let turns = 0;
      let inside = 0;
      const loop = async (client: LockClient<any>): Promise<void> => {
        while (on) {
          await client.withLock('key', { acquireTimeoutS: 20 }, async () => {
            expect(++inside).toBe(1);
            await pause(0);
            inside--;
          });
          turns++;
        }
      };
      const loops = forLater(Promise.all(clients.flatMap((client) => Array.from({ length: 5 }, () => loop(client)))));
      for (let i = 0; i < 10; i++) {
        const seen = turns;
        await world.server.command('SCRIPT', 'FLUSH', i % 2 ? 'SYNC' : 'ASYNC');
        await until(() => turns > seen + 10, 'the callers to go on');
      }
      on = false;
      await inTime(loops, 'the callers');
      expect(await world.server.command('EXISTS', 'lock:key', '{lock:key}:q')).toBe(0);
    },

    'get their turn when Redis was killed and is back': async (world) => {
      const options = { reconnect: { maxDelayMs: 200 } };
      const [holder, waiter] = [await world.client(options), await world.client(options)];
      const lock = await holder.acquire('key', { leaseTtlS: LEASE_S });
      const next = forLater(waiter.acquire('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 25 }));
      await queued(world, 'key', 1);
      await world.server.kill();
      await pause(300);
      await world.server.restart();
      const second = await inTime(next, 'the waiter', PATIENCE_MS);
      expect(fenceOf(second)).toBeGreaterThan(fenceOf(lock));
      await until(() => !lock.isHeld, 'the news');
      expect(await second.release()).toBe(true);
    },
  });
});
