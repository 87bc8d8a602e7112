import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { Queue } from 'bullmq';
import { createClientPool as pool5 } from 'redis5';
import { createClientPool as pool6 } from 'redis';
import { AuthError, ConfigError, LockUnavailableError } from '../../../../lib/common/errors.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { inTime, until } from '../../../support/until.js';
import { closeAll, driverOf, ECHO, Listener, NEWEST, scriptOf, TRIED } from './support.js';

const WRITE = scriptOf(`return redis.call('SET', KEYS[1], ARGV[1])`);

const sockets = (): number =>
  process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap' || kind === 'TCPConnectWrap').length;

describeRedis('drivers: faults', () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterEach(closeAll);
  afterAll(() => server.stop());

  for (const library of TRIED) {
    it(`${library.name}: a server that accepts and says nothing fails the start in time; closing leaves no socket`, async () => {
      const silent = await RedisServer.start();
      silent.pause();
      const before = sockets();
      try {
        const options = library.name.startsWith('io') ? { connectTimeout: 200 } : { socket: { connectTimeout: 200 } };
        const driver = driverOf(library.client(silent, options));
        const listener = new Listener();
        await expect(inTime(driver.open(listener), 'the refusal', 3_000)).rejects.toThrow(
          /no connection within 200 ms/,
        );
        await inTime(driver.close(), 'the close', 3_000);
        await until(() => sockets() <= before, 'the sockets to be closed', 1_000);
      } finally {
        silent.resume();
        await silent.stop();
      }
    });

    it(`${library.name}: a password that is changed later is a transient refusal`, async () => {
      const guarded = await RedisServer.start({ users: { app: 'on >one ~* &* +@all' } });
      try {
        const driver = driverOf(library.client(guarded, { username: 'app', password: 'one' }), { minDelayMs: 5 });
        const listener = new Listener();
        await driver.open(listener);
        await guarded.command('ACL', 'SETUSER', 'app', 'resetpass', '>two');
        await guarded.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        const refused = await until(async () => {
          const error = await driver.eval(ECHO, ['key'], []).catch((reason: unknown) => reason);
          return error instanceof AuthError ? error : undefined;
        });
        expect(refused.isTransient).toBe(true);
        expect(inspect(refused, { depth: 9 })).not.toMatch(/>?one\b.*app|"one"|'one'/);
        await guarded.command('ACL', 'SETUSER', 'app', '>one');
        await until(() => listener.count('up') === 2);
      } finally {
        await guarded.stop();
      }
    });
  }

  for (const library of NEWEST) {
    it(`${library.name}: a refused connection is tried again until the server is there`, async () => {
      const away = await RedisServer.start();
      await away.kill();
      try {
        const driver = driverOf(library.client(away), { minDelayMs: 5, maxDelayMs: 50 });
        const listener = new Listener();
        const error = await driver.open(listener).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(LockUnavailableError);
        expect(String(error)).toContain(`Redis at ${away.address} is not available: connect ECONNREFUSED`);
        expect(listener.events).toEqual(['down']);
        await away.restart();
        await until(() => listener.count('up') === 1);
        expect(await driver.eval(ECHO, ['key'], ['x'])).toEqual(['key', 'x', 7]);
      } finally {
        await away.stop();
      }
    });

    it(`${library.name}: a master that becomes a replica is left at once`, async () => {
      const driver = driverOf(library.client(server), { minDelayMs: 5 });
      const listener = new Listener();
      await driver.open(listener);
      await server.command('REPLICAOF', '127.0.0.1', 1);
      try {
        const error = await driver.eval(WRITE, ['key'], ['x']).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(LockUnavailableError);
        expect(String(error)).toContain('READONLY');
        expect(listener.count('down')).toBe(1);
        await until(() => listener.count('up') === 2);
      } finally {
        await server.command('REPLICAOF', 'NO', 'ONE');
      }
    });

    it(`${library.name}: a server that loads its data is not up yet`, async () => {
      const loading = await RedisServer.start({
        appendOnly: true,
        config: ['enable-debug-command yes', 'key-load-delay 2000', 'loading-process-events-interval-bytes 1024'],
      });
      try {
        await loading.command('DEBUG', 'POPULATE', 400, 'k', 100);
        await loading.command('BGREWRITEAOF');
        await until(async () => (await loading.info('aof_rewrite_in_progress')) === '0');
        const driver = driverOf(library.client(loading), { minDelayMs: 5, maxDelayMs: 20 });
        const listener = new Listener();
        await driver.open(listener);
        const restart = loading.restart();
        await until(() => listener.errors.length > 0);
        await until(() => listener.count('up') === 2);
        // At once, without an answer LOADING.
        expect(await driver.eval(ECHO, ['key'], ['x'])).toEqual(['key', 'x', 7]);
        await restart;
      } finally {
        await loading.stop();
      }
    });
  }

  it.each(NEWEST)('the connection of a BullMQ queue, with $name inside, is such a client', async (library) => {
    const inner = library.client(server) as { on(event: string, listener: () => void): void; disconnect(): unknown };
    inner.on('error', () => undefined);
    const queue = new Queue('jobs', { connection: inner });
    try {
      expect(() => driverOf(queue)).toThrow(/getBackend/);
      const driver = driverOf(await queue.getBackend().client);
      await driver.open(new Listener());
      expect(driver.server).toBe(server.address);
      expect(await driver.eval(ECHO, ['key'], ['x'])).toEqual(['key', 'x', 7]);
    } finally {
      await queue.close();
      await inner.disconnect();
    }
  });

  for (const [name, createPool] of [
    ['redis 5', pool5],
    ['redis 6', pool6],
  ] as const) {
    it(`${name}: a pool that is connected has its clients duplicated, another one is refused`, async () => {
      const pool = (createPool as typeof pool6)(
        { socket: { host: server.host, port: server.port } },
        { cleanupDelay: 1 },
      );
      pool.on('error', () => undefined);
      await expect(driverOf(pool).open(new Listener())).rejects.toThrow(ConfigError);
      await pool.connect();
      try {
        const driver = driverOf(pool);
        await driver.open(new Listener());
        expect(await driver.eval(ECHO, ['key'], ['x'])).toEqual(['key', 'x', 7]);
      } finally {
        pool.destroy();
      }
    });
  }
});
