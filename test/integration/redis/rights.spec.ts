import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { describeBackend } from '../../../lib/entries/testing/backend.js';
import { redisBackend, type RedisClient } from '../../../lib/entries/redis.js';
import { userOfPage } from '../../documents/redis-rights.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { RedisServer } from '../../support/redis/server.js';

describeRedis('with no more rights than it needs', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start({
      users: { app: userOfPage('secret'), default: 'on >other ~* &* +@all' },
      password: 'other',
    });
  });
  afterAll(() => server.stop());

  const clients: [string, () => RedisClient][] = [
    ['ioredis', () => new Redis({ port: server.port, username: 'app', password: 'secret', lazyConnect: true })],
    ['redis', () => createClient({ socket: { port: server.port }, username: 'app', password: 'secret' })],
  ];
  for (const [name, client] of ALL_OF_REDIS ? clients : clients.slice(1)) {
    describeBackend({ describe, it }, `redis over ${name}`, () => ({ connect: redisBackend(client()) }));
  }
});
