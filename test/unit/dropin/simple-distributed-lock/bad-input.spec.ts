import { describe, expect, it } from '@jest/globals';
import { ConfigError, LockKeyError } from '../../../../lib/entries/client.js';
import { Lock } from '../../../../lib/entries/redis.js';

/** Looks like a client of ioredis, and counts what is sent. */
function client(): { sent: number; redis: ConstructorParameters<typeof Lock>[0] } {
  const counter = { sent: 0 };
  const send = (): Promise<unknown> => {
    counter.sent++;
    return Promise.resolve([0]);
  };
  const no = (): never => {
    throw new Error('not asked for');
  };
  const redis = { duplicate: no, connect: no, disconnect: no, ssubscribe: no, call: send, sendCommand: send };
  return Object.assign(counter, { redis: { ...redis, status: 'ready', options: {} } });
}

const wrongTtl = [0, -1, 1.5, NaN, Infinity, '10', null, 2 ** 53] as never[];

describe('new Lock', () => {
  it.each([undefined, null, 'redis://localhost', 6379, {}, { host: 'localhost' }, Promise.resolve()])(
    'refuses %p in place of a client',
    (redis) => {
      expect(() => new Lock(redis as never)).toThrow(ConfigError);
      expect(() => new Lock(redis as never)).toThrow(/^Lock: expected a client of ioredis .* or .* redis/);
    },
  );

  it.each([
    ['ttl', ...wrongTtl.map((ttl) => ({ ttl }))],
    ['prefix', { prefix: 7 }, { prefix: null }],
    ['retries', { retries: 7 }],
    ['Lock', null, 'lock:', []],
  ] as [string, ...object[]][])('refuses a wrong %s at once', (name, ...all) => {
    for (const options of all) {
      const make = (): Lock => new Lock(client().redis, options);
      expect(make).toThrow(ConfigError);
      expect(make).toThrow(name);
    }
  });

  it('takes what is right', () => {
    const { redis } = client();
    for (const options of [undefined, {}, { ttl: 1 }, { prefix: '' }, { ttl: undefined, prefix: undefined }]) {
      expect(() => new Lock(redis, options)).not.toThrow();
    }
  });
});

describe('nothing is sent', () => {
  const given = client();
  const lock = new Lock(given.redis);
  const refuses = async (attempt: () => Promise<unknown>, type: unknown, text: string): Promise<void> => {
    const error = await attempt().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(type);
    expect(String(error)).toContain(text);
    expect(given.sent).toBe(0);
  };

  it.each(wrongTtl)('with the ttl %p', async (ttl) => {
    if (ttl === undefined) return;
    await refuses(() => lock.acquire('k', { ttl }), ConfigError, 'acquire.ttl');
    await refuses(() => lock.using('k', () => 7, { ttl }), ConfigError, 'acquire.ttl');
    await refuses(() => lock.extend('k', 'token', ttl), ConfigError, 'extend.ttl');
  });

  it.each([
    [{ autoExtend: 1 }, 'autoExtend'],
    [{ retryCount: -1 }, 'retryCount'],
    [{ retryCount: 1.5 }, 'retryCount'],
    [{ retryCount: NaN }, 'retryCount'],
    [{ retryCount: -Infinity }, 'retryCount'],
    [{ retryDelay: -1 }, 'retryDelay'],
    [{ retryDelay: Infinity }, 'retryDelay'],
    [{ retryDelay: '200' }, 'retryDelay'],
    [{ autoextend: true }, 'autoextend'],
    [7, 'acquire'],
    [[], 'got an array'],
  ])('with the options %j', async (options, name) => {
    await refuses(() => lock.acquire('k', options as never), ConfigError, name);
    await refuses(() => lock.using('k', () => 7, options as never), ConfigError, name);
  });

  it.each([undefined, null, '', 7, {}, ['k']])('for the resource %p', async (resource) => {
    const key = resource as string;
    for (const attempt of [
      () => lock.acquire(key),
      () => lock.release(key, 'token'),
      () => lock.extend(key, 'token'),
      () => lock.isLocked(key),
      () => lock.using(key, () => 7),
    ]) {
      await refuses(attempt, LockKeyError, 'resource');
    }
  });

  it('for the counter of fences, which a prefix may make the key', async () => {
    for (const [prefix, key] of [
      ['', 'dflockd:fence'],
      ['dflockd:', 'fence'],
    ] as const) {
      const one = new Lock(given.redis, { prefix });
      await refuses(() => one.acquire(key), LockKeyError, 'which counts fences');
      await refuses(() => one.isLocked(key), LockKeyError, 'which counts fences');
      await refuses(() => one.release(key, 'token'), LockKeyError, 'which counts fences');
      await refuses(() => one.extend(key, 'token'), LockKeyError, 'which counts fences');
    }
  });

  it.each([undefined, null, 7, 'work', {}, Promise.resolve()])('to run %p, which is no function', async (fn) => {
    await refuses(() => lock.using('k', fn as never), ConfigError, 'option using.fn: expected a function, got');
  });

  it('with what is no token', async () => {
    for (const token of [7, {}, true] as never[]) {
      await refuses(() => lock.release('k', token), ConfigError, 'token');
      await refuses(() => lock.extend('k', token), ConfigError, 'token');
    }
  });

  it('to release or extend what acquire did not get', async () => {
    for (const token of [null, undefined] as never[]) {
      await expect(lock.release('k', token)).resolves.toBe(false);
      await expect(lock.extend('k', token)).resolves.toBe(false);
    }
    expect(given.sent).toBe(0);
  });
});

it('no token is printed with a Lock', async () => {
  const { inspect } = await import('node:util');
  const { redis } = client();
  const lock = new Lock(redis);
  await lock.acquire('k', { autoExtend: true });
  expect(inspect(lock, { depth: 9 })).toBe('Lock {}');
  expect(JSON.stringify(lock)).toBe('{}');
});
