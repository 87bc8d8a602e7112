import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { A, about, B, salt, Scripts } from './support.js';

describeRedis('the script of renewals', () => {
  let server: RedisServer;
  let scripts: Scripts;

  const command: RedisServer['command'] = (...args) => server.command(...args);

  beforeAll(async () => {
    server = await RedisServer.start({
      users: { limited: 'on nopass ~lock:a ~{lock:* ~dflockd:* &* +@all', blind: 'on nopass ~* &* +@all -get' },
    });
    scripts = new Scripts(server);
  });

  beforeEach(() => command('FLUSHALL'));
  afterAll(() => server.stop());

  it('begins leases anew, longer or shorter', async () => {
    const [a, b] = [await scripts.take(A, 'lock:a', 2000), await scripts.take(A, 'lock:b', 90_000)];
    await expect(scripts.renew(30_000, ['lock:a', a], ['lock:b', b])).resolves.toBe(1);
    await expect(command('PTTL', 'lock:a')).resolves.toEqual(about(30_000));
    await expect(command('PTTL', 'lock:b')).resolves.toEqual(about(30_000));
  });

  it('says 0 of what is free, of somebody else or of another kind, and leaves it', async () => {
    const token = await scripts.take(B, 'lock:b', 20_000);
    await command('SET', 'lock:c', 'foreign');
    await command('RPUSH', 'lock:d', 'x');
    const own = `${token.slice(0, 16)}${salt()}`;
    await expect(
      scripts.renew(90_000, ['lock:a', own], ['lock:b', own], ['lock:c', own], ['lock:d', own]),
    ).resolves.toEqual([0, 0, 0, 0]);
    await expect(command('PTTL', 'lock:b')).resolves.toEqual(about(20_000));
    for (const key of ['lock:c', 'lock:d']) await expect(command('PTTL', key)).resolves.toBe(-1);
  });

  it('renews the others where some are not held', async () => {
    const [a, b] = [await scripts.take(A, 'lock:a', 2000), await scripts.take(A, 'lock:b', 2000)];
    // Each with its own token, not with that of another.
    await expect(scripts.renew(30_000, ['lock:a', b], ['lock:b', b], ['lock:c', a])).resolves.toEqual([0, 1, 0]);
    await expect(command('PTTL', 'lock:a')).resolves.toEqual(about(2000));
    await expect(command('PTTL', 'lock:b')).resolves.toEqual(about(30_000));
  });

  it('compares a token of any length where there is one key', async () => {
    await command('SET', 'lock:a', 'short', 'PX', '2000');
    await expect(scripts.renew(30_000, ['lock:a', 'shor'])).resolves.toEqual([0]);
    await expect(scripts.renew(30_000, ['lock:a', ''])).resolves.toEqual([0]);
    await expect(scripts.renew(30_000, ['lock:a', 'short'])).resolves.toBe(1);
  });

  it('does not say 0 of what it may not see', async () => {
    const token = await scripts.take(A, 'lock:a', 2000);
    const connection = await server.connect();
    try {
      await connection.command('AUTH', 'limited', 'x');
      const limited = new Scripts({ port: server.port, command: (...args) => connection.command(...args) });
      await expect(limited.renew(2000, ['lock:a', token])).resolves.toBe(1);
      await expect(limited.renew(2000, ['lock:b', token])).rejects.toThrow(/^NOPERM/);
      await connection.command('AUTH', 'blind', 'x');
      await expect(limited.renew(2000, ['lock:a', token])).resolves.toEqual([['E', expect.any(String)]]);
    } finally {
      connection.close();
    }
  });

  it('does not say 0 when Redis refuses to write', async () => {
    const token = await scripts.take(A, 'lock:a', 20_000);
    await command('CONFIG', 'SET', 'min-replicas-to-write', 1);
    try {
      const replies = await scripts.renew(2000, ['lock:a', token], ['lock:b', token]).catch(String);
      expect(replies).toEqual([['E', expect.stringMatching(/^NOREPLICAS /)], 0]);
    } finally {
      await command('CONFIG', 'SET', 'min-replicas-to-write', 0);
    }
  });

  it('renews 250 in one call', async () => {
    const keys = Array.from({ length: 250 }, (_, i) => `lock:${i}`);
    const tokens: string[] = [];
    for (const key of keys) tokens.push(await scripts.take(A, key, 2000));
    const replies = await scripts.renew(20_000, ...keys.map((key, i) => [key, tokens[i]!] as const));
    expect(replies).toBe(1);
    await expect(command('PTTL', 'lock:249')).resolves.toEqual(about(20_000));
  });
});
