import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Lock, Redlock } from '@sesamecare-oss/redlock';
import type { Redis } from 'ioredis';
import { Mutex } from 'redis-semaphore';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import { describeRedis } from '../../support/redis/describe-redis.js';
import { inTime, until } from '../../support/until.js';
import { median, RedisWorld } from './support/world.js';

/** redis-semaphore puts this before its keys. */
const PREFIX = 'mutex:';
const LEASE_MS = 10_000;
const DELETE_MINE = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0';
const ROUNDS = 5;

let world: RedisWorld;
let redis: Redis;
let locks: LockClient<any>;
let others: LockClient<any>;

/** How each program takes a key, runs the work, and gives the key back. */
const programs: Readonly<Record<string, (key: string, work: () => Promise<void>) => Promise<void>>> = {
  'this package': async (key, work) => {
    await locks.withLock(key, work);
  },
  'this package, another process': async (key, work) => {
    await others.withLock(key, work);
  },
  'SET NX PX and compare-and-delete': async (key, work) => {
    const token = randomUUID();
    while ((await redis.set(PREFIX + key, token, 'PX', LEASE_MS, 'NX')) === null) await pause(3);
    await work();
    expect(await redis.eval(DELETE_MINE, 1, PREFIX + key, token)).toBe(1);
  },
  'redis-semaphore': async (key, work) => {
    const mutex = new Mutex(redis, key, { lockTimeout: LEASE_MS, acquireTimeout: 20_000, retryInterval: 3 });
    await mutex.acquire();
    await work();
    await mutex.release();
  },
  redlock: async (key, work) => {
    const redlock = new Redlock([redis], { retryCount: 5000, retryDelay: 3, retryJitter: 1 });
    const lock = await redlock.acquire([PREFIX + key], LEASE_MS);
    await work();
    await lock.release();
  },
};
const names = Object.keys(programs);
const strangers = names.filter((name) => !name.startsWith('this package'));

describeRedis('programs that share a key in Redis', () => {
  beforeAll(async () => {
    world = await RedisWorld.open();
    redis = world.redis();
    locks = await world.client({ prefix: PREFIX });
    others = await world.client({ prefix: PREFIX });
  });

  afterAll(() => world?.close());

  it('exclude each other, whichever package each of them uses, and each gets its turns', async () => {
    const TURNS = 15;
    let inside = 0;
    let most = 0;
    const turns: string[] = [];
    const work = async (name: string): Promise<void> => {
      most = Math.max(most, ++inside);
      turns.push(name);
      await pause(1);
      inside--;
    };
    const loop = async (name: string): Promise<void> => {
      for (let turn = 0; turn < TURNS; turn++) {
        await programs[name]!('order', () => work(name));
        // Who uses this package queues, and would leave nothing to the others.
        await pause(name.startsWith('this package') ? 12 : 1);
      }
    };
    await inTime(Promise.all(names.map(loop)), 'everybody to have had its turns', 25_000);
    expect(most).toBe(1);
    const counts = names.map((name) => [name, turns.filter((turn) => turn === name).length]);
    expect(counts).toEqual(names.map((name) => [name, TURNS]));
    expect(await redis.exists(`${PREFIX}order`)).toBe(0);
  });

  it.each(strangers)('%s is kept out by a holder of this package, and keeps one out', async (name) => {
    const key = `out-${strangers.indexOf(name)}`;
    const lock = await locks.acquire(key);
    let entered = false;
    let leave!: () => void;
    const stay = new Promise<void>((resolve) => (leave = resolve));
    const stranger = programs[name]!(key, () => {
      entered = true;
      return stay;
    });
    await pause(30);
    expect(entered).toBe(false);
    expect(await lock.release()).toBe(true);
    await until(() => entered, 'the stranger');
    expect(await locks.tryAcquire(key)).toBeNull();
    expect(await locks.isLocked(key)).toBe(true);
    leave();
    await stranger;
    const again = await locks.acquire(key, { acquireTimeoutS: 5 });
    await again.release();
  });

  it.each(strangers)('%s cannot release a lock of this package', async (name) => {
    const key = `foreign-${strangers.indexOf(name)}`;
    const lock = await locks.acquire(key);
    if (name === 'redis-semaphore') {
      const mutex = new Mutex(redis, key, { identifier: 'another', acquiredExternally: true });
      await mutex.release();
    } else if (name === 'redlock') {
      const another = new Lock(new Redlock([redis]), [PREFIX + key], 'another', [], Date.now() + LEASE_MS);
      await expect(another.release()).rejects.toThrow();
    } else {
      expect(await redis.eval(DELETE_MINE, 1, PREFIX + key, 'another')).toBe(0);
    }
    expect(await redis.exists(PREFIX + key)).toBe(1);
    expect(await lock.release()).toBe(true);
  });

  describe('the first waiter of this package', () => {
    it('gets in soon after a stranger deletes its key', async () => {
      const waits: number[] = [];
      for (let i = 0; i < ROUNDS; i++) {
        const key = `deleted-${i}`;
        await redis.set(PREFIX + key, 'stranger', 'PX', LEASE_MS, 'NX');
        const waiting = locks.acquire(key, { acquireTimeoutS: 8 });
        await until(async () => (await redis.exists(`{${PREFIX}${key}}:q`)) === 1, 'the waiter to queue');
        await pause(40 + i * 20);
        const at = performance.now();
        await redis.del(PREFIX + key);
        const lock = await waiting;
        waits.push(performance.now() - at);
        await lock.release();
      }
      expect(median(waits)).toBeLessThanOrEqual(160);
    });

    it("gets in right after the end of a stranger's lease", async () => {
      // So that it is neither a poll nor a poke.
      const patient = await world.client({ prefix: PREFIX, foreignPollMs: 5000, pokeMs: 3000 });
      const waits: number[] = [];
      for (let i = 0; i < ROUNDS; i++) {
        const key = `expired-${i}`;
        const at = performance.now();
        await redis.set(PREFIX + key, 'stranger', 'PX', 300, 'NX');
        const lock = await patient.acquire(key, { acquireTimeoutS: 8 });
        waits.push(performance.now() - at - 300);
        await lock.release();
      }
      // It was set between `at` and its answer: a little less than 300 ms after `at` would be too early.
      expect(Math.min(...waits)).toBeGreaterThan(-1);
      expect(Math.min(...waits)).toBeLessThanOrEqual(20);
      // A machine may pause.
      expect(median(waits)).toBeLessThanOrEqual(400);
    });
  });
});
