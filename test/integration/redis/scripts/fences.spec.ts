import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { A, FENCE, LEASE_MS, salt, Scripts, U } from './support.js';

const F = 'dflockd:fence';

describeRedis('the fences that the scripts give', () => {
  let server: RedisServer;
  let scripts: Scripts;

  const command: RedisServer['command'] = (...args) => server.command(...args);
  const microseconds = async (): Promise<number> => {
    const [seconds, rest] = (await command('TIME')) as string[];
    return Number(seconds) * 1e6 + Number(rest);
  };
  const set = (value: string): Promise<unknown> => command('SET', F, value);

  /** Each way to get a lock, and what the fence of it is. */
  const ways: readonly (readonly [string, (key: string) => Promise<string>])[] = [
    ['a try', async (key) => (await scripts.lock(A, key, 't', salt(), LEASE_MS)) as string],
    ['a try by a script of its own', async (key) => (await scripts.single(A, key, 't', salt(), LEASE_MS)) as string],
    [
      'a try in a batch',
      async (key) =>
        (
          (await scripts.locks(A, [
            ['lock:other', 'r', 'x', 0],
            [key, 't', salt(), LEASE_MS],
          ])) as string[]
        )[1]!,
    ],
    [
      'a hand-over',
      async (key) => {
        const token = await scripts.take(A, key);
        await scripts.queue(U, key);
        await scripts.lock(A, key, 'r', token, 0);
        return ((await command('GET', key)) as string).slice(0, 16);
      },
    ],
    [
      'a try of a semaphore in a batch',
      async (key) =>
        (
          (await scripts.semaphores(A, [
            ['sem:other', 1, 'r', 'x', 0],
            [`sem:${key}`, 1, 't', salt(), LEASE_MS],
          ])) as string[]
        )[1]!,
    ],
    [
      'a try of a semaphore',
      async (key) => (await scripts.semaphore(A, `sem:${key}`, 1, 't', salt(), LEASE_MS)) as string,
    ],
  ];

  beforeAll(async () => {
    server = await RedisServer.start({ users: { nofence: 'on nopass ~lock:* ~{lock:* ~sem:* ~{sem:* &* +@all' } });
    scripts = new Scripts(server);
  });

  beforeEach(() => command('FLUSHALL'));
  afterAll(() => server.stop());

  for (const [name, fence] of ways) {
    it(`${name}: are the clock of the server in microseconds, and rise`, async () => {
      const before = await microseconds();
      const first = await fence('lock:a');
      expect(first).toMatch(FENCE);
      expect(Number(first)).toBeGreaterThan(before);
      expect(Number(first)).toBeLessThan((await microseconds()) + 1000);
      await expect(command('GET', F)).resolves.toBe(first);
      expect((await fence('lock:b')) > first).toBe(true);
    });

    it(`${name}: rise after FLUSHALL`, async () => {
      const first = await fence('lock:a');
      await command('FLUSHALL');
      expect((await fence('lock:a')) > first).toBe(true);
    });

    it(`${name}: go on from a counter that is ahead of the clock`, async () => {
      const ahead = (await microseconds()) + 3600e6;
      await set(`${ahead}`);
      const first = Number(await fence('lock:a'));
      expect(first).toBeGreaterThan(ahead);
      expect(first).toBeLessThan(ahead + 10);
      expect(Number(await fence('lock:b'))).toBeGreaterThan(first);
      await expect(command('PTTL', F)).resolves.toBe(-1);
    });

    for (const garbage of [
      '',
      'x',
      'zzzzzzzzzzzzzzzz',
      '!!!!!!!!!!!!!!!!',
      '9999999999999999',
      '12345',
      '1e15',
      '17000000000000000',
    ]) {
      it(`${name}: follow the clock where the counter is '${garbage}'`, async () => {
        await set(garbage);
        const before = await microseconds();
        const first = Number(await fence('lock:a'));
        expect(first).toBeGreaterThan(before);
        expect(first).toBeLessThan((await microseconds()) + 1000);
      });
    }

    it(`${name}: follow the clock where the counter is a list`, async () => {
      await command('RPUSH', F, 'x');
      expect(await fence('lock:a')).toMatch(FENCE);
      expect(await fence('lock:b')).toMatch(FENCE);
    });
  }

  it('differ within a batch, and the counter is the last of them', async () => {
    const replies = (await scripts.locks(
      A,
      Array.from({ length: 20 }, (_, i) => [`lock:${i}`, i % 2 ? 't' : 'q', salt(), LEASE_MS] as const),
    )) as string[];
    expect([...replies].sort()).toEqual(replies);
    expect(new Set(replies).size).toBe(20);
    await expect(command('GET', F)).resolves.toBe(replies.at(-1));
  });

  it('whoever may not write the counter gets no lock', async () => {
    const connection = await server.connect();
    try {
      await connection.command('AUTH', 'nofence', 'x');
      const limited = new Scripts({ port: server.port, command: (...args) => connection.command(...args) });
      for (const one of [
        () => limited.lock(A, 'lock:a', 't', salt(), LEASE_MS),
        () => limited.semaphore(A, 'sem:a', 1, 't', salt(), LEASE_MS),
      ]) {
        await expect(one()).rejects.toThrow(/^NOPERM/);
      }
      await expect(command('KEYS', '*')).resolves.toEqual([]);
    } finally {
      connection.close();
    }
  });
});
