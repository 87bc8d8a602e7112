import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { describeBackend } from '../../lib/entries/testing/backend.js';
import { redisBackend } from '../../lib/entries/redis.js';
import { RedisCluster } from '../support/redis/cluster.js';
import { ALL_OF_REDIS as ALL, describeRedis } from '../support/redis/describe-redis.js';
import { RedisSentinel } from '../support/redis/sentinel.js';
import { RedisServer } from '../support/redis/server.js';
import { CLIENTS, type RedisPlace } from './redis-clients.js';

const hold = (kind: string, clients: readonly string[], start: () => Promise<RedisPlace & { stop(): Promise<void> }>) =>
  describeRedis(kind, () => {
    let place: RedisPlace & { stop(): Promise<void> };
    beforeAll(async () => {
      place = await start();
    });
    afterAll(() => place.stop());

    for (const name of ALL ? Object.keys(CLIENTS) : clients) {
      // node-redis 4 knows no Sentinels.
      if (kind === 'Sentinel' && name === 'redis 4') continue;
      describeBackend({ describe, it }, `redis, ${name}, ${kind}`, async () => {
        const client = CLIENTS[name]!(place);
        // The Sentinel client of node-redis 5 keeps what it was told to itself until it has connected.
        if (kind !== 'Sentinel' || !name.startsWith('redis 5')) return { connect: redisBackend(client) };
        const { connect, close } = client as unknown as Record<'connect' | 'close', () => Promise<void>>;
        await connect.call(client);
        return { connect: redisBackend(client), close: () => close.call(client) };
      });
    }
  });

hold('standalone', ['ioredis 6'], async () => {
  const server = await RedisServer.start();
  return { one: server, stop: () => server.stop() };
});

if (ALL) {
  hold('Sentinel', [], async () => {
    const pair = await RedisSentinel.start();
    return { sentinels: pair, stop: () => pair.stop() };
  });
  hold('cluster', [], async () => {
    const cluster = await RedisCluster.start();
    return { cluster: cluster.addresses, stop: () => cluster.stop() };
  });
}
