import { describe, expect, it } from '@jest/globals';
import { awaitAll, awaitAllInVain } from '../../support/awaited-calls.js';
import { freePort } from '../../support/free-port.mjs';
import { ALL_AWAITED, usePrograms } from '../../support/programs.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { RedisServer } from '../../support/redis/server.js';

const CLIENTS: Readonly<Record<string, (port: number) => string>> = {
  ioredis: (port) => `new (await import('ioredis')).Redis({ host: '127.0.0.1', port: ${port}, lazyConnect: true })`,
  'node-redis': (port) => `(await import('redis')).createClient({ url: 'redis://127.0.0.1:${port}' })`,
};

(ALL_OF_REDIS ? describeRedis : describe.skip)('a process with locks in Redis', () => {
  const programs = usePrograms(() => RedisServer.start());

  const run = (program: (options: string) => string, client: string, port: number) =>
    programs.run(`
      const { redisBackend } = await ROOM('backends/redis/redis-backend.js');
      ${program(`{ backend: redisBackend(${CLIENTS[client]!(port)}) }`)}
    `);

  it.each(Object.keys(CLIENTS))('stays alive until what it awaits is answered: %s', async (client) => {
    expect(await run(awaitAll, client, programs.slowPort)).toEqual(ALL_AWAITED);
  });

  it.each(Object.keys(CLIENTS))('stays alive until it knows that there is no server: %s', async (client) => {
    expect(await run(awaitAllInVain, client, await freePort())).toEqual(ALL_AWAITED);
  });
});
