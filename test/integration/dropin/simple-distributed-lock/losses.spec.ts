import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { Lock } from '../../../../lib/entries/redis.js';
import { ALL_OF_REDIS, describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { until } from '../../../support/until.js';

interface Sent {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** A client of ioredis on which a test decides what becomes of what is sent. */
function withCommands(redis: Redis, handle: (sent: Sent, send: () => Promise<unknown>) => Promise<unknown>): Redis {
  const layer = Object.create(redis) as Redis;
  layer.sendCommand = (command) => handle(command, () => redis.sendCommand(command) as Promise<unknown>);
  return layer;
}

const fail = (): never => {
  throw new Error('it was answered');
};

/** Extensions take their time; test/unit/dropin has them on the fake clock. */
const dear = ALL_OF_REDIS ? it : it.skip;

describeRedis('Lock when something fails', () => {
  let server: RedisServer;
  let redis: Redis;
  const command: RedisServer['command'] = (...args) => server.command(...args);
  const lost = new Error('Connection is closed.');

  beforeAll(async () => {
    server = await RedisServer.start();
    redis = new Redis(server.port);
  });
  beforeEach(() => command('FLUSHALL'));
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  it('a try without an answer rejects, and does not keep what it may have taken', async () => {
    let isLost = true;
    const client = withCommands(redis, async (_sent, send) => {
      const reply = await send();
      if (!isLost) return reply;
      isLost = false;
      expect(await command('EXISTS', 'lock:k')).toBe(1);
      throw lost;
    });
    const before = new Lock(redis);
    await before.using('other', () => undefined);
    await expect(new Lock(client).acquire('k', { ttl: 60_000 })).rejects.toBe(lost);
    await until(async () => (await command('EXISTS', 'lock:k')) === 0, 'the lock to be free');
  });

  it('what Redis refuses rejects, and nothing more is sent', async () => {
    const sent: string[] = [];
    const client = withCommands(redis, async ({ name }) => {
      sent.push(name);
      throw new Error('NOPERM this user has no permissions to run the evalsha command');
    });
    await expect(new Lock(client).acquire('k', { retryCount: 5 })).rejects.toThrow('NOPERM');
    expect(sent).toEqual(['evalsha']);
  });

  it.each([
    ['ioredis 5', Redis5 as unknown as typeof Redis],
    ['ioredis 6', Redis],
  ])('the password of a client of %s is in no error', async (_name, Client) => {
    await command('ACL', 'SETUSER', 'app', 'on', '>right', '~*', '&*', '+@all');
    const errors: Error[] = [];
    for (const ask of [
      (lock: Lock) => lock.acquire('k'),
      (lock: Lock) => lock.release('k', 'token'),
      (lock: Lock) => lock.isLocked('k'),
    ]) {
      const client = new Client({ port: server.port, username: 'app', password: 'hunter2', retryStrategy: () => null });
      client.on('error', () => undefined);
      errors.push(await ask(new Lock(client)).then(fail, (error: Error) => error));
      client.disconnect();
    }
    for (const error of errors) {
      expect(error.message).toMatch(/WRONGPASS/);
      expect(error.name).toBe('ReplyError');
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2');
      expect(JSON.stringify(error)).not.toContain('hunter2');
    }
  });

  it('what Redis has no memory for rejects', async () => {
    await command('CONFIG', 'SET', 'maxmemory', 1);
    await expect(new Lock(redis).acquire('k', { retryCount: 5 })).rejects.toThrow('OOM');
    await command('CONFIG', 'SET', 'maxmemory', 0);
  });

  dear('an extension that fails is tried again, and is no unhandled rejection', async () => {
    let failures = 0;
    let isFailing = false;
    const client = withCommands(redis, (_sent, send) => {
      if (!isFailing) return send();
      failures++;
      return Promise.reject(lost);
    });
    const lock = new Lock(client);
    const token = (await lock.acquire('k', { ttl: 2000, autoExtend: true }))!;
    await command('PEXPIRE', 'lock:k', 100_000);
    isFailing = true;
    await until(() => failures >= 2, 'two failures');
    isFailing = false;
    await until(async () => ((await command('PTTL', 'lock:k')) as number) <= 2000, 'an extension');
    await expect(lock.release('k', token)).resolves.toBe(true);
  });

  dear('extensions of a lock that is lost end, and leave the lock of the next holder', async () => {
    let sent = 0;
    const client = withCommands(redis, (_sent, send) => {
      sent++;
      return send();
    });
    const lock = new Lock(client);
    const token = (await lock.acquire('k', { ttl: 2000, autoExtend: true }))!;
    await command('SET', 'lock:k', 'other', 'PX', 100_000);
    const before = sent;
    await until(() => sent > before, 'the extension that finds it lost');
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(sent).toBe(before + 1);
    expect(await command('PTTL', 'lock:k')).toBeGreaterThan(50_000);
    await expect(lock.release('k', token)).resolves.toBe(false);
  });

  it('a release that fails has ended the extensions', async () => {
    let isFailing = false;
    const sent: string[] = [];
    const client = withCommands(redis, ({ args }, send) => {
      sent.push(String(args[1]));
      return isFailing ? Promise.reject(lost) : send();
    });
    const lock = new Lock(client);
    const token = (await lock.acquire('k', { ttl: 100, autoExtend: true }))!;
    isFailing = true;
    await expect(lock.release('k', token)).rejects.toBe(lost);
    isFailing = false;
    const { length } = sent;
    await until(async () => (await command('EXISTS', 'lock:k')) === 0, 'the end of the lease');
    expect(sent).toHaveLength(length);
  });

  it('a release that fails changes neither the result nor the error of using', async () => {
    let isFailing = false;
    const client = withCommands(redis, (_sent, send) => (isFailing ? Promise.reject(lost) : send()));
    const lock = new Lock(client);
    const used = lock.using('a', () => {
      isFailing = true;
      return 7;
    });
    await expect(used).resolves.toBe(7);
    isFailing = false;
    const error = new Error('of the application');
    const failed = lock.using('b', () => {
      isFailing = true;
      throw error;
    });
    await expect(failed).rejects.toBe(error);
  });

  it('a connection that is lost between two tries rejects the acquire', async () => {
    let tries = 0;
    await command('SET', 'lock:k', 'x');
    const client = withCommands(redis, (_sent, send) => (++tries < 3 ? send() : Promise.reject(lost)));
    await expect(new Lock(client).acquire('k', { retryCount: Infinity, retryDelay: 10 })).rejects.toBe(lost);
  });
});
