import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { describeBackend } from '../../../lib/entries/testing/backend.js';
import { redisBackend, type RedisClient } from '../../../lib/entries/redis.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { RedisServer } from '../../support/redis/server.js';

/** What docs/redis.md asks for. */
const RIGHTS =
  'on >secret ~lock:* ~{lock:* ~sem:* ~{sem:* ~dflockd:* resetchannels &dfl:* -@all ' +
  '+hello +auth +ping +client|setname +client|id +info +select +evalsha +eval +subscribe +unsubscribe +publish +time +get ' +
  '+set +del +exists +pexpire +pttl +zadd +zrem +zpopmin +zrange +zrank +zcard +zscore +zremrangebyscore';

describeRedis('with no more rights than it needs', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start({ users: { app: RIGHTS, default: 'on >other ~* &* +@all' }, password: 'other' });
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
