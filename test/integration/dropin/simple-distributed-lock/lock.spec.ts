import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AcquireTimeoutError } from '../../../../lib/entries/client.js';
import { Lock } from '../../../../lib/entries/redis.js';
import { ALL_OF_REDIS, describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { until } from '../../../support/until.js';
import { connectTo, LIBRARIES, TRIED, type Connected } from './support.js';

/** What a PTTL may have become of `ms` on a slow machine. */
const about = (ms: number): unknown => ({
  asymmetricMatch: (value: unknown) => typeof value === 'number' && value <= ms && value > ms - 3000,
});

describeRedis('Lock of simple-distributed-lock', () => {
  let server: RedisServer;
  const command: RedisServer['command'] = (...args) => server.command(...args);
  const isFree = async (key: string): Promise<boolean> => (await command('EXISTS', key)) === 0;

  beforeAll(async () => {
    server = await RedisServer.start();
  });
  beforeEach(() => command('FLUSHALL'));
  afterAll(() => server.stop());

  describe.each(TRIED)('on $name', (library) => {
    let client: Connected;
    let lock: Lock;
    const calls = async (name: string): Promise<number> => {
      const text = (await command('INFO', 'commandstats')) as string;
      return Number(new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(text)?.[1] ?? 0);
    };

    beforeAll(async () => {
      client = await connectTo(library, server);
      lock = new Lock(client.redis);
    });
    afterAll(() => client.close());

    it("acquire('order:123') leaves exactly what SET NX PX would", async () => {
      const token = await lock.acquire('order:123');
      expect(typeof token).toBe('string');
      await expect(command('GET', 'lock:order:123')).resolves.toBe(token);
      await expect(command('PTTL', 'lock:order:123')).resolves.toEqual(about(10_000));
      await expect(command('SET', 'lock:order:123', 'other', 'NX', 'PX', 1000)).resolves.toBeNull();
      await expect(lock.acquire('order:123')).resolves.toBeNull();
    });

    it('acquire gives another token each time', async () => {
      const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => lock.acquire(`k${i}`)));
      expect(new Set(tokens).size).toBe(20);
      expect(tokens).not.toContain(null);
    });

    it('acquire(k, { ttl }) has a lease of its own', async () => {
      await lock.acquire('k', { ttl: 60_000 });
      await expect(command('PTTL', 'lock:k')).resolves.toEqual(about(60_000));
    });

    it('acquire(k) finds a lock of any other program, whatever it has written', async () => {
      await command('SET', 'lock:k', 'x');
      await expect(lock.acquire('k')).resolves.toBeNull();
      await command('DEL', 'lock:k');
      await command('RPUSH', 'lock:k', 'x');
      await expect(lock.acquire('k')).resolves.toBeNull();
      await expect(lock.isLocked('k')).resolves.toBe(true);
      await expect(lock.release('k', 'x')).resolves.toBe(false);
      await expect(lock.extend('k', 'x')).resolves.toBe(false);
    });

    it('acquire tries once more than it retries, and waits only in between', async () => {
      await command('SET', 'lock:k', 'x');
      await command('CONFIG', 'RESETSTAT');
      const begun = performance.now();
      await expect(lock.acquire('k', { retryCount: 2, retryDelay: 100 })).resolves.toBeNull();
      const took = performance.now() - begun;
      expect(took).toBeGreaterThanOrEqual(190);
      expect(await calls('evalsha')).toBe(3);
      await expect(lock.acquire('k', { retryDelay: 20_000 })).resolves.toBeNull();
      expect(await calls('evalsha')).toBe(4);
    });

    it('acquire(k, { retryCount: Infinity, retryDelay: 1000, autoExtend: true }) waits for ever, and keeps it', async () => {
      const first = (await lock.acquire('k'))!;
      const waiting = lock.acquire('k', { retryCount: Infinity, retryDelay: 20, autoExtend: true });
      await command('CONFIG', 'RESETSTAT');
      await until(async () => (await calls('evalsha')) > 5, 'some tries');
      await lock.release('k', first);
      const token = (await waiting)!;
      await expect(command('GET', 'lock:k')).resolves.toBe(token);
      await expect(lock.release('k', token)).resolves.toBe(true);
    });

    it('release(k, token) frees it, once', async () => {
      const token = (await lock.acquire('k'))!;
      await expect(lock.release('k', `${token.slice(0, -1)}_`)).resolves.toBe(false);
      await expect(lock.release('k', token)).resolves.toBe(true);
      await expect(isFree('lock:k')).resolves.toBe(true);
      await expect(lock.release('k', token)).resolves.toBe(false);
    });

    it('release(k, token) leaves the lock of whoever has it meanwhile', async () => {
      const token = (await lock.acquire('k', { ttl: 1 }))!;
      await until(() => isFree('lock:k'));
      await command('SET', 'lock:k', 'other');
      await expect(lock.release('k', token)).resolves.toBe(false);
      await expect(command('GET', 'lock:k')).resolves.toBe('other');
    });

    it('release(k, token) frees what another program has taken, with the token of that', async () => {
      await command('SET', 'lock:k', 'a-uuid', 'NX', 'PX', 10_000);
      await expect(lock.extend('k', 'a-uuid', 20_000)).resolves.toBe(true);
      await expect(lock.release('k', 'a-uuid')).resolves.toBe(true);
      await expect(isFree('lock:k')).resolves.toBe(true);
    });

    it('extend(k, token, 15000) sets the lease, and without a time to the ttl of the Lock', async () => {
      const token = (await lock.acquire('k', { ttl: 60_000 }))!;
      await expect(lock.extend('k', token, 15_000)).resolves.toBe(true);
      await expect(command('PTTL', 'lock:k')).resolves.toEqual(about(15_000));
      await expect(lock.extend('k', token)).resolves.toBe(true);
      await expect(command('PTTL', 'lock:k')).resolves.toEqual(about(10_000));
      await expect(lock.extend('k', 'other')).resolves.toBe(false);
      await command('DEL', 'lock:k');
      await expect(lock.extend('k', token)).resolves.toBe(false);
    });

    it('isLocked(k) says whether anybody has it', async () => {
      await expect(lock.isLocked('k')).resolves.toBe(false);
      const token = (await lock.acquire('k'))!;
      await expect(lock.isLocked('k')).resolves.toBe(true);
      await lock.release('k', token);
      await command('SET', 'lock:k', 'other');
      await expect(lock.isLocked('k')).resolves.toBe(true);
    });

    it('using(k, fn) runs under the lock, and gives the result', async () => {
      const result = lock.using('k', async () => {
        await expect(lock.isLocked('k')).resolves.toBe(true);
        return 7;
      });
      await expect(result).resolves.toBe(7);
      await expect(isFree('lock:k')).resolves.toBe(true);
      await expect(lock.using('k', () => 8)).resolves.toBe(8);
    });

    it('using(k, fn) releases it when fn throws or rejects, and throws the same', async () => {
      const error = new Error('of the application');
      await expect(lock.using('k', () => Promise.reject(error))).rejects.toBe(error);
      await expect(isFree('lock:k')).resolves.toBe(true);
      const throwing = (): never => {
        throw error;
      };
      await expect(lock.using('k', throwing)).rejects.toBe(error);
      await expect(isFree('lock:k')).resolves.toBe(true);
    });

    it('using(k, fn) does not call fn without the lock, and says which', async () => {
      await command('SET', 'lock:order:123', 'x');
      let isCalled = false;
      const error = await lock.using('order:123', () => void (isCalled = true)).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(AcquireTimeoutError);
      expect(String(error)).toContain('order:123');
      expect(isCalled).toBe(false);
      await expect(command('GET', 'lock:order:123')).resolves.toBe('x');
    });

    it('using(k, fn) gives what fn gave though the lock was lost', async () => {
      await expect(lock.using('k', () => command('DEL', 'lock:k'))).resolves.toBe(1);
    });

    it('a prefix may be empty, and a ttl its own', async () => {
      const bare = new Lock(client.redis, { prefix: '', ttl: 3000 });
      const token = (await bare.acquire('k'))!;
      await expect(command('GET', 'k')).resolves.toBe(token);
      await expect(command('PTTL', 'k')).resolves.toEqual(about(3000));
      await expect(lock.isLocked('k')).resolves.toBe(false);
    });

    it('goes on after SCRIPT FLUSH', async () => {
      await command('SCRIPT', 'FLUSH');
      const token = (await lock.acquire('k'))!;
      await command('SCRIPT', 'FLUSH');
      await expect(lock.extend('k', token)).resolves.toBe(true);
      await command('SCRIPT', 'FLUSH');
      await expect(lock.release('k', token)).resolves.toBe(true);
    });

    it('makes no connections of its own', async () => {
      const before = await server.info('connected_clients');
      const one = new Lock(client.redis);
      await one.using('k', () => undefined);
      await expect(server.info('connected_clients')).resolves.toBe(before);
    });

    it('rejects when the client is closed, also between two tries', async () => {
      const other = await connectTo(library, server, library.name.startsWith('io') ? { retryStrategy: null } : {});
      const dead = new Lock(other.redis);
      await command('SET', 'lock:k', 'x');
      const waiting = dead.acquire('k', { retryCount: Infinity, retryDelay: 20 });
      const outcome = expect(waiting).rejects.toThrow();
      await command('CONFIG', 'RESETSTAT');
      await until(async () => (await calls('evalsha')) > 1, 'some tries');
      await other.close();
      await outcome;
      await expect(dead.acquire('k')).rejects.toThrow();
      await expect(dead.isLocked('k')).rejects.toThrow();
      await expect(dead.using('k', () => undefined)).rejects.toThrow();
    });
  });

  /** What takes time is done with several libraries at once, each with a key of its own. */
  const onAll = (test: (lock: Lock, resource: string, key: string) => Promise<void>): Promise<unknown> =>
    Promise.all(
      TRIED.map(async (library) => {
        const client = await connectTo(library, server);
        try {
          await test(new Lock(client.redis), library.name, `lock:${library.name}`);
        } finally {
          await client.close();
        }
      }),
    );
  /** Waits until the lease of the key has been set to at most this. */
  const extended = (key: string, ttl: number): Promise<unknown> =>
    until(async () => {
      const ms = (await command('PTTL', key)) as number;
      return ms > 0 && ms <= ttl;
    }, 'an extension');

  it('acquire(k, { retryCount: 10, retryDelay: 500 }) gets it at the next try after it has become free', () =>
    onAll(async (lock, resource, key) => {
      await command('SET', key, 'x', 'PX', 300);
      const begun = performance.now();
      const token = await lock.acquire(resource, { retryCount: 10, retryDelay: 500 });
      expect(performance.now() - begun).toBeGreaterThanOrEqual(490);
      await expect(command('GET', key)).resolves.toBe(token);
    }));

  // That of using() below goes the same way.
  (ALL_OF_REDIS ? it : it.skip)('acquire(k, { autoExtend: true }) extends by its own ttl, until the release', () =>
    onAll(async (lock, resource, key) => {
      const token = (await lock.acquire(resource, { autoExtend: true, ttl: 1200 }))!;
      for (let extension = 0; extension < 2; extension++) {
        await expect(command('PEXPIRE', key, 100_000)).resolves.toBe(1);
        await extended(key, 1200);
      }
      await expect(lock.release(resource, token)).resolves.toBe(true);
      await command('SET', key, token, 'PX', 100_000);
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(await command('PTTL', key)).toBeGreaterThan(90_000);
    }),
  );

  it('using(k, fn, { retryCount: 5, retryDelay: 1000, autoExtend: true }) waits, and keeps it for as long as fn runs', () =>
    onAll(async (lock, resource, key) => {
      const first = (await lock.acquire(resource))!;
      let isCalled = false;
      const used = lock.using(
        resource,
        async () => {
          isCalled = true;
          await expect(command('PEXPIRE', key, 100_000)).resolves.toBe(1);
          await extended(key, 1200);
        },
        { retryCount: 5, retryDelay: 1000, autoExtend: true, ttl: 1200 },
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(isCalled).toBe(false);
      await lock.release(resource, first);
      await used;
      expect(isCalled).toBe(true);
      await expect(isFree(key)).resolves.toBe(true);
    }));

  describe('with the replies of a client as it likes them', () => {
    let client: Connected | undefined;
    afterEach(() => client?.close());

    const [ioredis5, ioredis6, redis4, , redis6] = LIBRARIES as typeof LIBRARIES & { length: 5 };
    it.each([
      [ioredis5!, { enableAutoPipelining: true }],
      [ioredis6!, { enableAutoPipelining: true }],
      [ioredis5!, { stringNumbers: true }],
      [ioredis6!, { stringNumbers: true }],
      [ioredis6!, { protocol: 2 }],
      [ioredis6!, { replyMapping: 'resp3' }],
      [redis4!, { legacyMode: true }],
      [redis6!, { RESP: 2 }],
      [redis6!, { commandOptions: { typeMapping: { 36: Buffer, 58: String, 42: Set } } }],
    ] as const)('%j %j', async (library, options) => {
      client = await connectTo(library, server, options);
      const lock = new Lock(client.redis);
      await expect(lock.isLocked('k')).resolves.toBe(false);
      const token = (await lock.acquire('k'))!;
      expect(token).toMatch(/^[0-9a-f]{32}$/);
      await expect(lock.acquire('k')).resolves.toBeNull();
      await expect(lock.isLocked('k')).resolves.toBe(true);
      await expect(lock.extend('k', token)).resolves.toBe(true);
      await expect(lock.release('k', token)).resolves.toBe(true);
      await expect(lock.release('k', token)).resolves.toBe(false);
      await expect(lock.extend('k', token)).resolves.toBe(false);
      await command('RPUSH', 'lock:k', 'x');
      await expect(lock.acquire('k')).resolves.toBeNull();
      await expect(lock.release('k', token)).resolves.toBe(false);
    });
  });
});
