import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { awaitAll, awaitAllInVain } from '../../support/awaited-calls.js';
import { CompiledLib } from '../../support/compiled-lib.js';
import { freePort } from '../../support/free-port.mjs';
import { Proxy } from '../../support/proxy.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { RedisServer } from '../../support/redis/server.js';

const CLIENTS: Readonly<Record<string, (port: number) => string>> = {
  ioredis: (port) => `new (await import('ioredis')).Redis({ host: '127.0.0.1', port: ${port}, lazyConnect: true })`,
  'node-redis': (port) => `(await import('redis')).createClient({ url: 'redis://127.0.0.1:${port}' })`,
};

(ALL_OF_REDIS ? describeRedis : describe.skip)('a process with locks in Redis', () => {
  let lib: CompiledLib;
  let server: RedisServer;
  let proxy: Proxy;

  beforeAll(async () => {
    [lib, server] = await Promise.all([CompiledLib.make(), RedisServer.start()]);
    proxy = await Proxy.to(server.port);
    // Answers that are there at once would be read before the process ends.
    proxy.delay(5);
  }, 30_000);

  afterAll(async () => {
    await proxy.close();
    await server.stop();
    await lib.remove();
  });

  const run = (program: (options: string) => string, client: string, port: number) =>
    lib.run(`
      const { redisBackend } = await ROOM('backends/redis/redis-backend.js');
      ${program(`{ backend: redisBackend(${CLIENTS[client]!(port)}) }`)}
    `);

  it.each(Object.keys(CLIENTS))('stays alive until what it awaits is answered: %s', async (client) => {
    const { code, out } = await run(awaitAll, client, Number(proxy.address.split(':')[1]));
    expect([out, code]).toEqual([expect.stringMatching(/that is all\n$/), 0]);
  });

  it.each(Object.keys(CLIENTS))('stays alive until it knows that there is no server: %s', async (client) => {
    const { code, out } = await run(awaitAllInVain, client, await freePort());
    expect([out, code]).toEqual([expect.stringMatching(/that is all\n$/), 0]);
  });
});
