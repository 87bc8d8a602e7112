import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import * as redis6 from 'redis';
import * as redis5 from 'redis5';
import type { RedisClient } from '../../../../lib/backends/redis/drivers/recognise.js';
import { LockClient } from '../../../../lib/entries/client.js';
import { Lock, redisBackend } from '../../../../lib/entries/redis.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisSentinel } from '../../../support/redis/sentinel.js';

interface Open {
  connect(): Promise<unknown>;
  on(event: string, listener: () => void): unknown;
  disconnect?(): unknown;
  destroy?(): unknown;
}

/** A pool that has been destroyed still has its timer for this. */
const POOL = { cleanupDelay: 10 };

describeRedis('Lock and the backend exclude each other on', () => {
  let pair: RedisSentinel;
  const open: Open[] = [];

  beforeAll(async () => {
    pair = await RedisSentinel.start();
  });
  afterEach(async () => {
    for (const client of open.splice(0)) await (client.destroy ? client.destroy() : client.disconnect!());
  });
  afterAll(() => pair.stop());

  const sentinelOptions = (): { name: string; sentinelRootNodes: { host: string; port: number }[] } => ({
    name: pair.name,
    sentinelRootNodes: pair.addresses,
  });
  const socket = async (): Promise<{ host: string; port: number }> => {
    const { host, port } = await pair.master();
    return { host, port };
  };

  const shapes: readonly (readonly [name: string, key: string, make: () => Promise<unknown>])[] = [
    [
      'ioredis over Sentinel',
      'app:lock:k',
      async () => new Redis({ sentinels: pair.addresses, name: pair.name, keyPrefix: 'app:', lazyConnect: true }),
    ],
    ['redis 5 over Sentinel', 'lock:k', async () => redis5.createSentinel(sentinelOptions())],
    [
      'redis 6 over Sentinel',
      'app:lock:k',
      async () => redis6.createSentinel({ ...sentinelOptions(), keyPrefix: 'app:' }),
    ],
    ['a pool of redis 5', 'lock:k', async () => redis5.createClientPool({ socket: await socket() }, POOL)],
    [
      'a pool of redis 6',
      'app:lock:k',
      async () => redis6.createClientPool({ socket: await socket(), keyPrefix: 'app:' }, POOL),
    ],
  ];

  it.each(shapes)('%s', async (_name, key, make) => {
    const client = (await make()) as Open & RedisClient;
    client.on('error', () => undefined);
    await client.connect();
    open.push(client);
    const lock = new Lock(client);
    const locks = await LockClient.connect({ backend: redisBackend(client) });
    try {
      const token = (await lock.acquire('k'))!;
      await expect((await pair.master()).command('GET', key)).resolves.toBe(token);
      await expect(locks.tryAcquire('k')).resolves.toBeNull();
      const waiting = locks.acquire('k');
      await expect(lock.extend('k', token)).resolves.toBe(true);
      await expect(lock.release('k', token)).resolves.toBe(true);
      const held = await waiting;
      await expect(lock.acquire('k')).resolves.toBeNull();
      await expect(lock.isLocked('k')).resolves.toBe(true);
      await held.release();
      await expect(lock.isLocked('k')).resolves.toBe(false);
    } finally {
      await locks.close();
    }
  });
});
