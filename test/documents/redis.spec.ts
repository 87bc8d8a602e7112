import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Redlock } from '@sesamecare-oss/redlock';
import { Cluster, Redis } from 'ioredis';
import { createClient, createCluster } from 'redis';
import { Mutex } from 'redis-semaphore';
import { LockClient } from '../../lib/entries/client.js';
import { Lock, redisBackend, type RedisBackendOptions, type RedisClient } from '../../lib/entries/redis.js';
import { RedisCluster } from '../support/redis/cluster.js';
import { ALL_OF_REDIS, describeRedis } from '../support/redis/describe-redis.js';
import { RedisServer } from '../support/redis/server.js';
import { inTime, until } from '../support/until.js';
import { readPage } from './pages.js';
import { userOfPage } from './redis-rights.js';

const PAGE = 'docs/redis.md';
const page = readPage(PAGE);
const USER = { username: 'app', password: 'secret' };

/** The rules of the page for a user. @param more rows of the table below them */
const rules = (...more: string[]): string => userOfPage(USER.password, ...more);

const opened: { close(): unknown }[] = [];
const closeAll = async (): Promise<void> => {
  for (const client of opened.splice(0).reverse()) await client.close();
};

async function lockClient(redis: RedisClient, options: RedisBackendOptions = {}): Promise<LockClient<any>> {
  const client = await LockClient.connect({ backend: redisBackend(redis, options), leaseTtlS: 1, renewRatio: 0.2 });
  opened.push(client);
  return client;
}

function ioredis(port: number, options = {}): Redis {
  const redis = new Redis({ port, ...options });
  opened.push({ close: () => redis.disconnect() });
  return redis;
}

/** The commands that were called. */
async function usedBy(server: RedisServer): Promise<string[]> {
  const stats = (await server.command('INFO', 'commandstats')) as string;
  return [...stats.matchAll(/^cmdstat_([a-z|]+):/gm)].map(([, name]) => name!);
}

/** Those that a rule permits. */
const givenBy = (rule: string): string[] => [...rule.matchAll(/\+([a-z|]+)/g)].map(([, name]) => name!);

/** Everything that the backend does. */
async function useAll(first: LockClient<any>, second: LockClient<any>): Promise<void> {
  for (const limit of [undefined, 1]) {
    const options = limit === undefined ? {} : { limit };
    const held = await first.acquire('order:{7}', options);
    expect(await second.tryAcquire('order:{7}', options)).toBeNull();
    expect(await second.isLocked('order:{7}', options)).toBe(true);
    const abort = new AbortController();
    const givenUp = second.acquire('order:{7}', { ...options, signal: abort.signal });
    const next = second.acquire('order:{7}', options);
    await until(async () => (await second.stats())[0].waiters === 2, 'both to wait');
    abort.abort();
    await expect(givenUp).rejects.toThrow();
    await held.release();
    const given = await inTime(next, 'the lock of the page');
    await given.release();
    await first.withLock('plain', { ...options, minHoldS: 0.05 }, async () => undefined);
    await (await second.acquire('plain', options)).release();
    // Renewed, and watched from then on.
    const renewed = await first.acquire('renewed', options);
    await pause(300);
    expect(renewed.isHeld).toBe(true);
    await renewed.release();
  }
}

describeRedis(`${PAGE}: the rights`, () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start({ users: { app: rules('`watch`') } });
  });
  afterAll(async () => {
    await closeAll();
    await server.stop();
  });

  it('are enough for ioredis', async () => {
    const redis = ioredis(server.port, { ...USER, lazyConnect: true });
    await useAll(await lockClient(redis, { watch: true }), await lockClient(redis));
  });

  it('are enough for node-redis', async () => {
    const redis = createClient({ socket: { port: server.port }, ...USER });
    await useAll(await lockClient(redis, { watch: true }), await lockClient(redis));
  });

  it('are enough for the drop-in', async () => {
    const lock = new Lock(ioredis(server.port, USER));
    const token = (await lock.acquire('order'))!;
    expect(await lock.isLocked('order')).toBe(true);
    expect(await lock.extend('order', token)).toBe(true);
    expect(await lock.release('order', token)).toBe(true);
  });

  it('are used, each of them', async () => {
    const used = await usedBy(server);
    // Behind a proxy that does not count receivers, the backend goes from one channel to another.
    expect(givenBy(rules('`watch`')).filter((name) => !used.includes(name))).toEqual(['unsubscribe']);
  });
});

/** In a cluster: needed while a slot moves, after minutes, or before Redis 7. */
const OTHERWISE = ['client|id', 'subscribe', 'unsubscribe', 'publish', 'asking', 'sunsubscribe'];

/** A cluster takes seconds to start. */
const dear = ALL_OF_REDIS ? describeRedis : describe.skip;

dear(`${PAGE}: the rights in a cluster`, () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await RedisCluster.start({ users: { app: rules('a cluster') } });
  });
  afterAll(async () => {
    await closeAll();
    await cluster.stop();
  });

  it('are enough for ioredis', async () => {
    const redis = new Cluster([...cluster.addresses], { lazyConnect: true, redisOptions: USER });
    await useAll(await lockClient(redis), await lockClient(redis));
  });

  it('are enough for node-redis', async () => {
    const rootNodes = cluster.addresses.map(({ host, port }) => ({ socket: { host, port } }));
    const redis = createCluster({ rootNodes, defaults: USER });
    await useAll(await lockClient(redis), await lockClient(redis));
  });

  it('are used, each of them', async () => {
    await closeAll();
    const used = await Promise.all(cluster.masters.map(usedBy));
    expect(givenBy(rules('a cluster')).filter((name) => !used.flat().includes(name))).toEqual(OTHERWISE);
  });
});

/** Scripts of murlock 4.4.0. */
const MURLOCK = {
  lock: `local key = KEYS[1]
local clientId = ARGV[1]
local releaseTime = ARGV[2]

if redis.call("get", key) == clientId or redis.call("set", key, clientId, "NX", "PX", releaseTime) then
  return 1
else
  return 0
end`,
  unlock: `local key = KEYS[1]
local clientId = ARGV[1]

if redis.call("get", key) == clientId then
  return redis.call("del", key)
else
  return 0
end`,
};

/** Takes the lock `order:7` as a package does, or says that it is busy; the release of it. */
type Take = (redis: Redis) => Promise<(() => Promise<unknown>) | undefined>;

const redlock: Take = async (redis) => {
  const lock = await new Redlock([redis], { retryCount: 0 }).acquire(['order:7'], 10_000).catch(() => undefined);
  return lock && (() => lock.release());
};

const setNx =
  (key: string): Take =>
  async (redis) => {
    const token = randomUUID();
    if ((await redis.set(key, token, 'PX', 10_000, 'NX')) === null) return undefined;
    return () => redis.eval(MURLOCK.unlock, 1, key, token);
  };

const murlock =
  (key: string): Take =>
  async (redis) => {
    const id = randomUUID();
    if ((await redis.eval(MURLOCK.lock, 1, key, id, 10_000)) !== 1) return undefined;
    return () => redis.eval(MURLOCK.unlock, 1, key, id);
  };

/** By row of the page's table: what the package does, and the key with which this one excludes it. */
const PACKAGES: Readonly<Record<string, { take: Take; key?: string }>> = {
  'redis-semaphore (`Mutex`)': {
    take: async (redis) => {
      const mutex = new Mutex(redis, 'order:7', { acquireAttemptsLimit: 1 });
      return (await mutex.tryAcquire()) ? () => mutex.release() : undefined;
    },
  },
  'redlock, @sesamecare-oss/redlock': { take: redlock },
  // redlock 5, whose scripts @sesamecare-oss/redlock has.
  '@anchan828/nest-redlock': { take: redlock },
  // redlock-universal 0.8.5: SET with NX and PX, and compare-and-delete.
  'nestjs-redlock-universal': { take: setNx('order:7') },
  murlock: { take: murlock('OrderService:charge:7'), key: 'OrderService:charge:7' },
  'simple-distributed-lock': {
    take: async (redis) => {
      const lock = new Lock(redis);
      const token = await lock.acquire('order:7');
      return token === null ? undefined : () => lock.release('order:7', token);
    },
  },
};

describe(`${PAGE}: the packages to move from`, () => {
  const section = page.slice(page.indexOf('## Moving from'));
  const rows = [...section.matchAll(/^\| (.+?) \| .* \| (.*) \|$/gm)]
    .map(([, name, prefix]) => ({ name: name!, prefix: /'(\w*:?)'/.exec(prefix!)?.[1] }))
    .filter((row) => row.prefix !== undefined);

  it('are those that are tried here', () => {
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(PACKAGES));
  });

  describeRedis('with the prefix of the table', () => {
    let server: RedisServer;

    beforeAll(async () => {
      server = await RedisServer.start();
    });
    afterAll(() => server.stop());
    afterEach(closeAll);

    it.each(rows)('exclude, and are excluded: $name', async ({ name, prefix }) => {
      const { take, key = 'order:7' } = PACKAGES[name]!;
      const redis = ioredis(server.port);
      const locks = await lockClient(redis, { prefix });
      const release = (await take(redis))!;
      expect(await locks.tryAcquire(key)).toBeNull();
      const waiting = locks.acquire(key);
      await until(async () => (await locks.stats())[0].waiters === 1, 'it to wait');
      await release();
      const held = await inTime(waiting, 'the lock of the other package');
      expect(await take(redis)).toBeUndefined();
      await held.release();
      await (await take(redis))!();
    });
  });
});
