import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { describeBackend } from '../../lib/entries/testing/backend.js';
import { redisBackend } from '../../lib/entries/redis.js';
import { describeRedis } from '../support/redis/describe-redis.js';
import { RedisServer } from '../support/redis/server.js';

describeRedis('on Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());

  describeBackend({ describe, it }, 'redis, ioredis 6', () => {
    const client = new Redis({ port: server.port, host: server.host, lazyConnect: true });
    return { connect: redisBackend(client) };
  });
});
