import KeyvRedis from '@keyv/redis';
import { describe, expect, it } from '@jest/globals';
import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import { createClient, createClientPool, createCluster, createSentinel } from 'redis';
import * as redis4 from 'redis4';
import * as redis5 from 'redis5';
import { createDriver, type RedisClient } from '../../../../lib/backends/redis/drivers/recognise.js';
import { ConfigError } from '../../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../../lib/common/system.js';

const settings = {
  clock: systemClock,
  entropy: systemEntropy,
  requestTimeoutMs: 5_000,
  minDelayMs: 50,
  maxDelayMs: 5_000,
  watch: false,
};
const driverOf = (client: unknown): ReturnType<typeof createDriver> => createDriver(client, settings);

describe('the client that is given', () => {
  it('names its server, never its user and password, and its prefix', () => {
    const quiet = { lazyConnect: true, keyPrefix: 'app:' };
    const seen = [
      new Redis('redis://user:hunter2@db:6380/2', quiet),
      new Redis({ ...quiet, path: '/run/redis.sock' }),
      new Redis({ ...quiet, host: '::1' }),
      new Redis({ ...quiet, sentinels: [{ host: 's', port: 1 }], name: 'locks' }),
      new Cluster([{ host: 'a', port: 1 }], { lazyConnect: true, redisOptions: { keyPrefix: 'app:' } }),
      new Cluster([{ host: 'a', port: 1 }], { lazyConnect: true, keyPrefix: 'app:' }),
      createClient({ url: 'redis://user:hunter2@db:6380/2', keyPrefix: 'app:' }),
      createSentinel({ name: 'locks', sentinelRootNodes: [{ host: 's', port: 1 }], keyPrefix: 'app:' }),
      createCluster({ rootNodes: [{ url: 'redis://a:1' }], keyPrefix: 'app:' }),
    ].map(driverOf);
    expect(seen.map(({ server }) => server)).toEqual([
      'db:6380',
      '/run/redis.sock',
      '[::1]:6379',
      'locks@sentinel',
      'cluster',
      'cluster',
      'db:6380',
      'locks@sentinel',
      'cluster',
    ]);
    expect(seen.map(({ keyPrefix }) => keyPrefix)).toEqual(seen.map(() => 'app:'));
    expect(seen.map(({ isCluster }) => isCluster)).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
      false,
      false,
      true,
    ]);
  });

  it('may be of each version, and typed as the library types it', () => {
    const sentinel = { name: 'locks', sentinelRootNodes: [{ host: 's', port: 1 }] };
    const cluster = { rootNodes: [{ url: 'redis://a:1' }] };
    const accepted: RedisClient[] = [
      new Redis({ lazyConnect: true, replyMapping: 'resp3' }),
      new Redis5({ lazyConnect: true }),
      new Cluster([], { lazyConnect: true }),
      new Cluster5([], { lazyConnect: true }),
      createClient({ RESP: 2 }),
      createClient({ RESP: 3 }),
      createCluster(cluster),
      createSentinel(sentinel),
      createClientPool(),
      redis5.createClient(),
      redis5.createCluster(cluster),
      redis5.createSentinel(sentinel),
      redis5.createClientPool(),
      redis4.createClient(),
      redis4.createCluster(cluster),
      new KeyvRedis('redis://db:1').client,
    ];
    for (const client of accepted) expect(driverOf(client).server).toEqual(expect.any(String));
  });

  it('may be a layer that node-redis lays over a client', () => {
    const layered = createClient({ url: 'redis://db:1' }).withTypeMapping({ 36: Buffer });
    expect(driverOf(layered).server).toBe('db:1');
  });

  it('may be in the wrapper of BullMQ', () => {
    const raw = createClient({ url: 'redis://db:1' });
    expect(driverOf({ runCommand: () => 1, raw }).server).toBe('db:1');
    for (const wrapper of [{ raw }, { runCommand: () => 1, raw: null }, { runCommand: () => 1, raw: 'redis://db:1' }]) {
      expect(() => driverOf(wrapper)).toThrow(/^redisBackend: expected a client of ioredis .*, got an object$/);
    }
  });

  it.each<[string, object]>([
    ['a cluster of ioredis', { duplicate: () => 1, nodes: () => 1, connect: () => 1, isCluster: false }],
    [
      'a client of ioredis',
      { duplicate: () => 1, connect: () => 1, disconnect: () => 1, ssubscribe: () => 1, status: 'wait' },
    ],
    [
      'a client of node-redis',
      { duplicate: () => 1, sendCommand: () => 1, sSubscribe: () => 1, connect: () => 1, isOpen: 1 },
    ],
    ['a pool of node-redis', { execute: () => 1, sendCommand: () => 1, totalClients: '1' }],
  ])('is refused where it only looks like %s', (_, client) => {
    expect(() => driverOf(client)).toThrow(ConfigError);
  });

  it.each([
    ['a connection', { connection: {} }, /; give the client inside it$/],
    ['a host', { host: 'db' }, /; those are options/],
    ['a URL', { url: 'redis://db' }, /; those are options/],
    ['neither', { host: 7, url: 7 }, /got an object$/],
  ])('is refused where it has %s', (_, client, message) => {
    expect(() => driverOf(client)).toThrow(message);
  });

  it.each([
    ['a URL', 'redis://user:hunter2@db', /got string; make a client for the URL/],
    ['nothing', undefined, /got undefined$/],
    ['null', null, /got null$/],
    ['options', { host: 'db', password: 'hunter2' }, /those are options/],
    ['a class', Redis, /got a function; give a client, not what makes it/],
    ['a promise', Promise.resolve(), /got a Promise; await it first/],
    ['the store of a cache manager', new KeyvRedis('redis://db:1'), /got a KeyvRedis; give its `client` instead/],
    ['a queue of BullMQ 5', { client: Promise.resolve() }, /its `client` instead, awaited/],
    ['a queue of BullMQ 6', { getBackend: () => 1 }, /`await it.getBackend\(\).client`/],
    ['node-redis 3', { send_command: () => 1, duplicate: () => 1 }, /version 3 of the package redis/],
    ['a pipeline', new Redis({ lazyConnect: true }).pipeline(), /got a Pipeline; give the client itself$/],
    ['an old ioredis', { duplicate: () => 1, call: () => 1 }, /ioredis before version 5/],
    ['a wrapper', { redis: {} }, /give the client inside it/],
    ['an array', [], /got an array$/],
  ])('is refused where it is %s', (_, client, message) => {
    expect(() => driverOf(client)).toThrow(ConfigError);
    expect(() => driverOf(client)).toThrow(message);
    expect(() => driverOf(client)).toThrow(/^(?!.*hunter2)/);
  });
});
