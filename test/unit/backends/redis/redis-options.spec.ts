import { describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisBackend, type RedisBackendOptions } from '../../../../lib/entries/redis.js';
import { resolveRedis } from '../../../../lib/backends/redis/options.js';
import { ConfigError } from '../../../../lib/common/errors.js';

describe('the options of the Redis backend', () => {
  it('have defaults', () => {
    expect(resolveRedis()).toEqual({
      prefix: 'lock:',
      semaphorePrefix: 'sem:',
      leaseMs: 33_000,
      pokeMs: 1000,
      livenessMs: 5000,
      foreignPollMs: 100,
      requestTimeoutMs: 5000,
      reconnect: { minDelayMs: 50, maxDelayMs: 1000 },
      watch: false,
    });
    expect(resolveRedis({ pokeMs: 200 }).livenessMs).toBe(1000);
    expect(resolveRedis({ reconnect: { maxDelayMs: 20 } }).reconnect).toEqual({ minDelayMs: 20, maxDelayMs: 20 });
    expect(resolveRedis({ reconnect: { minDelayMs: 6000 } }).reconnect).toEqual({ minDelayMs: 6000, maxDelayMs: 6000 });
    expect(resolveRedis({ prefix: '', pokeMs: 500, livenessMs: 1500 })).toMatchObject({ prefix: '', livenessMs: 1500 });
  });

  it.each<[RedisBackendOptions | Record<string, unknown>, RegExp]>([
    [{ prefix: 1 }, /redisBackend\.prefix: expected a string, got 1/],
    [{ semaphorePrefix: null }, /redisBackend\.semaphorePrefix: expected a string, got null/],
    [{ prefix: 'x', semaphorePrefix: 'x' }, /redisBackend\.semaphorePrefix: expected another prefix.*"x"/],
    [{ leaseMs: 0 }, /redisBackend\.leaseMs.*got 0/],
    [{ leaseMs: 1.5 }, /redisBackend\.leaseMs: expected an integer.*got 1\.5/],
    [{ leaseMs: Infinity }, /redisBackend\.leaseMs.*got Infinity/],
    [{ pokeMs: 49 }, /redisBackend\.pokeMs.*got 49/],
    [{ livenessMs: 2999 }, /redisBackend\.livenessMs: expected at least 3 × pokeMs \(1000\), got 2999/],
    [{ foreignPollMs: '1' }, /redisBackend\.foreignPollMs.*got "1"/],
    [{ requestTimeoutMs: 1 }, /redisBackend\.requestTimeoutMs.*got 1/],
    [{ reconnect: 5 }, /redisBackend\.reconnect: expected an object, got 5/],
    [{ reconnect: { minDelayMs: 10, maxDelayMs: 5 } }, /maxDelayMs: expected at least minDelayMs \(10\), got 5/],
    [{ reconnect: { delay: 5 } }, /redisBackend\.reconnect\.delay is unknown/],
    [{ watch: 'yes' }, /redisBackend\.watch: expected true or false, got "yes"/],
    [{ lease: 5 }, /redisBackend\.lease is unknown, got 5; known options: prefix/],
  ])('%j is refused', (options, message) => {
    const client = new Redis({ lazyConnect: true });
    expect(() => redisBackend(client, options as RedisBackendOptions)).toThrow(message);
    expect(() => redisBackend(client, options as RedisBackendOptions)).toThrow(ConfigError);
  });

  it.each([undefined, null, 'redis://localhost', {}, { host: 'localhost' }, () => undefined])(
    'a client that is none is refused at once: %p',
    (client) => {
      expect(() => redisBackend(client as never)).toThrow(ConfigError);
    },
  );

  it('are refused where they are no object', () => {
    expect(() => resolveRedis('x')).toThrow('option redisBackend: expected an object, got "x"');
  });
});
