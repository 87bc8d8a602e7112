import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { describeBackend } from '../../../lib/entries/testing/backend.js';
import { ConfigError, LockClient } from '../../../lib/entries/client.js';
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

  it.each(['info', 'evalsha', 'eval', 'subscribe', 'publish', 'time', 'exists', 'set'])(
    'a user who may not use %s is told that a right is missing, and where the list is',
    async (denied) => {
      await server.command('ACL', 'SETUSER', 'less', 'reset', ...userOfPage('secret').split(' '), `-${denied}`);
      const redis = new Redis({ port: server.port, username: 'less', password: 'secret', lazyConnect: true });
      const attempt = LockClient.connect({ backend: redisBackend(redis) }).then(async (locks) => {
        try {
          return await locks.acquire('a', { acquireTimeoutS: 5 });
        } finally {
          await locks.close();
        }
      });
      const error = await attempt.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ message: expect.stringMatching(/denies a right: .*docs\/redis\.md/) });
    },
  );
});
