import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { LockClient } from '../../../../lib/entries/client.js';
import { Lock, redisBackend, type RedisStats } from '../../../../lib/entries/redis.js';
import { RedisCluster } from '../../../support/redis/cluster.js';
import { ALL_OF_REDIS, describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { until } from '../../../support/until.js';
import { connectTo, connectToCluster, TRIED, type Connected } from './support.js';

/** The keys of all nodes. */
const keysOf = async (nodes: readonly RedisServer[]): Promise<string[]> =>
  (await Promise.all(nodes.map((node) => node.command('KEYS', '*')))).flat() as string[];

interface World {
  readonly nodes: () => readonly RedisServer[];
  connect(prefix: string): Promise<Connected>;
}

/** Both on one client: they exclude each other, and neither overtakes who waits. */
function excludes(world: World, prefix: string): void {
  let client: Connected;
  let lock: Lock;
  let locks: LockClient<RedisStats>;
  const full = (key: string): string => `${prefix}lock:${key}`;

  beforeAll(async () => {
    client = await world.connect(prefix);
    lock = new Lock(client.redis);
    locks = await LockClient.connect({ backend: redisBackend(client.redis) });
  });
  beforeEach(() => Promise.all(world.nodes().map((node) => node.command('FLUSHALL'))));
  afterAll(async () => {
    await locks.close();
    await client.close();
  });

  it('the key is that of the client, in braces where others need it', async () => {
    const token = (await lock.acquire('a'))!;
    const waiting = locks.acquire('a');
    await until(async () => (await keysOf(world.nodes())).includes(`{${full('a')}}:q`), 'the waiter');
    const keys = (await keysOf(world.nodes())).filter((key) => !key.startsWith('dflockd:fence'));
    expect(keys.sort()).toEqual([full('a'), `{${full('a')}}:l`, `{${full('a')}}:q`].sort());
    await lock.release('a', token);
    await (await waiting).release();
  });

  it.each(['a', 'order:1', 'a}b', '{t}a'])('%s: what the backend holds, Lock does not get', async (key) => {
    const held = await locks.acquire(key);
    await expect(lock.acquire(key)).resolves.toBeNull();
    await expect(lock.isLocked(key)).resolves.toBe(true);
    await held.release();
    const token = (await lock.acquire(key))!;
    await expect(locks.tryAcquire(key)).resolves.toBeNull();
    await expect(lock.extend(key, token)).resolves.toBe(true);
    await expect(lock.release(key, token)).resolves.toBe(true);
    await expect(lock.isLocked(key)).resolves.toBe(false);
  });

  it.each(['a', 'a}b', '{t}a'])(
    '%s: a release of Lock serves who waits in the queue, and a try does not overtake',
    async (key) => {
      const token = (await lock.acquire(key))!;
      const first = locks.acquire(key);
      const second = locks.acquire(key);
      await until(async () => (await locks.stats()).some(({ waiters }) => waiters === 2), 'two waiters');
      await expect(lock.release(key, token)).resolves.toBe(true);
      const held = await first;
      await expect(lock.acquire(key)).resolves.toBeNull();
      await held.release();
      const next = await second;
      await expect(lock.acquire(key)).resolves.toBeNull();
      await next.release();
      await expect(lock.acquire(key)).resolves.toEqual(expect.any(String));
    },
  );

  it('a try of Lock after an expiry serves who waits', async () => {
    await lock.acquire('a', { ttl: 60_000 });
    const waiting = locks.acquire('a');
    await until(async () => (await locks.stats()).some(({ waiters }) => waiters === 1), 'a waiter');
    // As if its lease had ended. Only one node of a cluster has the key.
    await Promise.all(world.nodes().map((node) => node.command('DEL', full('a')).catch(() => undefined)));
    await expect(lock.acquire('a')).resolves.toBeNull();
    const held = await waiting;
    expect(held.isHeld).toBe(true);
    await held.release();
  });
}

describeRedis('Lock and the backend on one client', () => {
  describe('of one server', () => {
    let server: RedisServer;
    beforeAll(async () => {
      server = await RedisServer.start();
    });
    afterAll(() => server.stop());

    describe.each(TRIED)('$name', (library) => {
      const world: World = {
        nodes: () => [server],
        connect: (prefix) => connectTo(library, server, prefix === '' ? {} : { keyPrefix: prefix }),
      };
      describe('without a prefix', () => excludes(world, ''));
      // node-redis has prefixes since version 6.
      if (!/redis [45]/.test(library.name) || library.name.startsWith('io')) {
        describe('with a keyPrefix', () => excludes(world, 'app:'));
      }
    });
  });

  (ALL_OF_REDIS ? describe : describe.skip)('of a cluster', () => {
    let cluster: RedisCluster;
    beforeAll(async () => {
      cluster = await RedisCluster.start();
    });
    afterAll(() => cluster.stop());

    describe.each(TRIED)('$name', (library) => {
      const world: World = {
        nodes: () => cluster.masters,
        connect: (prefix) => connectToCluster(library, cluster.addresses, prefix),
      };
      describe('without a prefix', () => excludes(world, ''));
      if (!/redis [45]/.test(library.name) || library.name.startsWith('io')) {
        describe('with a keyPrefix', () => excludes(world, 'app:'));
      }
    });
  });
});
