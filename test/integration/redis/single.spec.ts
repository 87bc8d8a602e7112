import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { singleAcquireScript, singleReleaseScript } from '../../../lib/backends/redis/scripts/single-scripts.js';
import { describeRedis } from '../../support/redis/describe-redis.js';
import { RedisServer } from '../../support/redis/server.js';

const SALT = 'aaaaaaaaaa000001';
const FENCE = 'dflockd:fence';

describeRedis('the scripts of an op by itself', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());
  beforeEach(() => server.command('FLUSHALL'));

  const acquire = () =>
    server.command('EVAL', singleAcquireScript.source, 3, FENCE, 'lock:a', '{lock:a}:q', SALT, 5000) as Promise<string>;
  const release = (token: string) =>
    server.command('EVAL', singleReleaseScript.source, 2, 'lock:a', '{lock:a}:q', token);
  const micros = async (): Promise<number> => {
    const [seconds, rest] = (await server.command('TIME')) as [string, string];
    return Number(seconds) * 1e6 + Number(rest);
  };

  it('take a free lock, and release it', async () => {
    const before = await micros();
    const digits = await acquire();
    expect(digits).toMatch(/^\d{16}$/);
    expect(Number(digits)).toBeGreaterThan(before);
    expect(await server.command('GET', 'lock:a')).toBe(digits + SALT);
    expect(await server.command('PTTL', 'lock:a')).toBeGreaterThan(4000);
    expect(await server.command('GET', FENCE)).toBe(digits);
    expect(await release(digits + SALT)).toBe(1);
    expect(await server.command('EXISTS', 'lock:a')).toBe(0);
    expect(Number(await acquire())).toBeGreaterThan(Number(digits));
  });

  it('leave alone what somebody else holds', async () => {
    const token = (await acquire()) + SALT;
    expect(await acquire()).toBeNull();
    expect(await release(token.replace('000001', '000002'))).toBe(0);
    expect(await server.command('GET', 'lock:a')).toBe(token);
    await server.command('DEL', 'lock:a');
    expect(await release(token)).toBe(0);
  });

  it('do nothing where somebody waits', async () => {
    const token = (await acquire()) + SALT;
    await server.command('ZADD', '{lock:a}:q', 1, 'somebody');
    expect(await release(token)).toBeNull();
    await server.command('DEL', 'lock:a');
    expect(await acquire()).toBeNull();
    expect(await server.command('EXISTS', 'lock:a')).toBe(0);
  });

  it('do nothing where keys hold something else, or the counter is ahead', async () => {
    await server.command('LPUSH', 'lock:a', 'x');
    expect([await acquire(), await release('x')]).toEqual([null, null]);
    await server.command('DEL', 'lock:a');
    for (const fence of ['9000000000000000', 'garbage', '12345']) {
      await server.command('SET', FENCE, fence);
      expect(await acquire()).toBeNull();
      expect([await server.command('EXISTS', 'lock:a'), await server.command('GET', FENCE)]).toEqual([0, fence]);
    }
    await server.command('DEL', FENCE);
    await server.command('LPUSH', FENCE, 'x');
    expect(await acquire()).toBeNull();
  });
});
