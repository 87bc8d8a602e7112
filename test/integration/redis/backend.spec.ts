import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import type { AcquireRequest, Grant, LockBackend } from '../../../lib/backends/backend.js';
import { lockScript } from '../../../lib/backends/redis/scripts/lock-script.js';
import { AcquireTimeoutError, ConfigError, LockLostError } from '../../../lib/common/errors.js';
import { nextTurn, systemClock, systemEntropy } from '../../../lib/common/system.js';
import { redisBackend, type RedisBackendOptions, type RedisStats } from '../../../lib/entries/redis.js';
import { enqueue, release } from '../../support/lock-backend.js';
import { describeRedis } from '../../support/redis/describe-redis.js';
import { RedisServer } from '../../support/redis/server.js';
import { inTime, until } from '../../support/until.js';

describeRedis('the Redis backend on a server', () => {
  let server: RedisServer;
  let made: LockBackend<RedisStats>[];
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    await server.command('FLUSHALL');
    made = [];
  });
  afterEach(async () => {
    await Promise.all(made.map((backend) => backend.close(1000)));
  });

  const { now } = systemClock;
  const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };

  /** One more process, so to speak: with ioredis and node-redis in turn. */
  const connect = async (options: RedisBackendOptions = {}): Promise<LockBackend<RedisStats>> => {
    const { host: address, port } = server;
    const client =
      made.length % 2
        ? createClient({ socket: { host: address, port } })
        : new Redis({ host: address, port, lazyConnect: true });
    const backend = redisBackend(client, options)(host);
    made.push(backend);
    await backend.start();
    return backend;
  };

  const request = (change: Partial<AcquireRequest> = {}, waitMs = 20_000): AcquireRequest => ({
    key: 'a',
    kind: 'lock',
    limit: 1,
    leaseMs: 30_000,
    deadline: now() + waitMs,
    ...change,
  });

  const take = async (backend: LockBackend, req = request()): Promise<Grant> => (await backend.tryAcquire(req))!;

  /** All keys but the counter of the fences, and what Redis itself forgets soon: who was alive, and the limit of a semaphore. */
  const leftOver = async (): Promise<string[]> => {
    const left: string[] = [];
    for (const key of (await server.command('KEYS', '*')) as string[]) {
      const isShort = /:[ln]$/.test(key) && ((await server.command('PTTL', key)) as number) <= 30_000;
      if (key !== 'dflockd:fence' && !isShort) left.push(key);
    }
    return left;
  };

  const sum = async (count: 'lostPlaces' | 'orphans' | 'waiters'): Promise<number> => {
    const all = await Promise.all(made.map((backend) => backend.stats()));
    return all.reduce((total, [stats]) => total + stats![count], 0);
  };

  it('has two connections, and none more under load', async () => {
    const connections = async (): Promise<number> =>
      ((await server.command('CLIENT', 'LIST')) as string).split('\n').filter((line) => line.includes('name=nestjs'))
        .length;
    const a = await connect();
    const b = await connect();
    expect(await connections()).toBe(4);
    const held = await take(a);
    const waiting = Array.from({ length: 50 }, (_, i) => enqueue([a, b][i % 2]!, request()));
    await Promise.all(waiting.map(({ placed }) => placed));
    expect(await connections()).toBe(4);
    await release(a, held);
    const turns = waiting.map(async ({ grant }, i) => release([a, b][i % 2]!, await grant));
    await inTime(Promise.all(turns), 'all turns');
    expect(await leftOver()).toEqual([]);
  });

  it('serves 20 waiters of four processes in the order in which they came, with rising fences', async () => {
    const backends = [await connect(), await connect(), await connect(), await connect()];
    const held = await take(backends[0]!);
    const order: number[] = [];
    const fences = [held.fence!];
    const all: Promise<void>[] = [];
    for (let i = 0; i < 20; i++) {
      const backend = backends[(i * 7) % 4]!;
      const { placed, grant } = enqueue(backend, request());
      await inTime(placed, 'the place');
      const served = grant.then(async (given) => {
        order.push(i);
        fences.push(given.fence!);
        expect(await release(backend, given)).toBe('released');
      });
      all.push(served);
    }
    await release(backends[0]!, held);
    await inTime(Promise.all(all), 'all turns');
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(fences).toEqual([...fences].sort((a, b) => Number(a - b)));
    expect(new Set(fences).size).toBe(21);
    expect(await sum('lostPlaces')).toBe(0);
    expect(await sum('orphans')).toBe(0);
    expect(await leftOver()).toEqual([]);
  });

  it.each(['lock', 'sem'] as const)(
    'ends 1,000 waits of a %s at one deadline, and leaves nothing behind',
    async (kind) => {
      const [a, b] = [await connect(), await connect()];
      const limit = kind === 'lock' ? 1 : 2;
      const held = [await take(a, request({ kind, limit }))];
      if (limit === 2) held.push(await take(b, request({ kind, limit })));
      const deadline = now() + 700;
      const waits = Array.from({ length: 1000 }, (_, i) => enqueue([a, b][i % 2]!, request({ kind, limit, deadline })));
      const errors = await inTime(
      Promise.all(waits.map(({ grant }) => grant.then(() => undefined, (error: unknown) => error))),
      'all refusals',
    ); // prettier-ignore
      expect(errors.filter((error) => error instanceof AcquireTimeoutError)).toHaveLength(1000);
      for (const grant of held) await release(grant === held[0] ? a : b, grant);
      await until(async () => (await leftOver()).length === 0, 'nothing to be left');
      expect(await sum('waiters')).toBe(0);
    },
  );

  it('hands over soon after a holder that uses something else has deleted its key', async () => {
    const a = await connect();
    await server.command('SET', 'lock:a', 'somebody', 'NX', 'PX', 60_000);
    const { placed, grant } = enqueue(a, request());
    await placed;
    await server.command('DEL', 'lock:a');
    const began = now();
    expect((await inTime(grant, 'the grant')).validFrom + 1000).toBeGreaterThan(now());
    expect(now() - began).toBeLessThan(1000);
  });

  it('hands over after the lease of a holder that does not release', async () => {
    const [a, b] = [await connect(), await connect()];
    const held = await take(a, request({ leaseMs: 500 }));
    const { grant } = enqueue(b, request());
    const given = await inTime(grant, 'the grant');
    expect(now()).toBeGreaterThanOrEqual(held.validFrom + 500);
    expect(given.fence!).toBeGreaterThan(held.fence!);
    await expect(a.renew(held, 1000)).rejects.toThrow(LockLostError);
    expect(await new Promise((done) => a.release(held, done))).toBe('gone');
    // The lock of the next is none of its business.
    await b.renew(given, 1000);
  });

  it('loses nothing when its connections are killed, and no waiter waits for ever', async () => {
    const [a, b] = [await connect(), await connect({ pokeMs: 200 })];
    const held = await take(a);
    const waits = Array.from({ length: 5 }, () => enqueue(b, request()));
    await Promise.all(waits.map(({ placed }) => placed));
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    expect(await release(a, held)).toBe('released');
    for (const { grant } of waits) await release(b, await inTime(grant, 'the grant'));
    await until(async () => (await leftOver()).length === 0, 'nothing to be left');
  });

  it('serves its waiters in order after FLUSHALL and SCRIPT FLUSH', async () => {
    const [a, b] = [await connect({ pokeMs: 100 }), await connect({ pokeMs: 100 })];
    const held = await take(a);
    const order: number[] = [];
    const waits = [];
    for (let i = 0; i < 6; i++) {
      const { placed, grant } = enqueue(b, request({ leaseMs: 10_000 }));
      await placed;
      const served = async (): Promise<void> => {
        const given = await grant;
        order.push(i);
        await release(b, given);
      };
      waits.push(served());
    }
    await server.command('FLUSHALL');
    await server.command('SCRIPT', 'FLUSH');
    await inTime(Promise.all(waits), 'all turns');
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    await expect(a.renew(held, 1000)).rejects.toThrow(LockLostError);
    await until(async () => (await leftOver()).length === 0, 'nothing to be left');
  });

  it('keeps a lock no longer than it says at its release, although Redis had forgotten the script of a renewal', async () => {
    for (const backend of [await connect(), await connect()]) {
      const held = await take(backend);
      const other = await take(backend, request({ key: 'b' }));
      // The server knows all scripts on this connection.
      await backend.renew(held, 30_000);
      await release(backend, other, 1);
      await server.command('SCRIPT', 'FLUSH');
      await server.command('SCRIPT', 'LOAD', lockScript.source);
      server.pause();
      const renewal = backend.renew(held, 30_000).catch((error: unknown) => error);
      await nextTurn();
      const released = release(backend, held, 4_000);
      await nextTurn();
      server.resume();
      expect(await inTime(released, 'the release')).toBe('released');
      await inTime(renewal, 'the renewal');
      const left = await server.command('PTTL', 'lock:a');
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThanOrEqual(4_000);
      await server.command('FLUSHALL');
    }
  });

  it('does not start where one of the two ways to run a script is denied', async () => {
    await server.command('ACL', 'SETUSER', 'named', 'on', 'nopass', '~*', '&*', '+@all', '-evalsha');
    await server.command('ACL', 'SETUSER', 'whole', 'on', 'nopass', '~*', '&*', '+@all', '-eval');
    for (const username of ['named', 'whole']) {
      const client = new Redis({ host: server.host, port: server.port, username, password: 'x', lazyConnect: true });
      const error: unknown = await redisBackend(client)(host)
        .start()
        .catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ConfigError);
      expect(String(error)).toContain(username === 'named' ? "'evalsha'" : "'eval'");
    }
    await server.command('ACL', 'DELUSER', 'named', 'whole');
  });

  it('takes a silent server for lost, and goes on when it speaks', async () => {
    const a = await connect({ requestTimeoutMs: 300 });
    const held = await take(a);
    server.pause();
    try {
      await expect(inTime(a.renew(held, 30_000), 'the refusal')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    } finally {
      server.resume();
    }
    await until(async () => a.renew(held, 30_000).catch(() => undefined), 'the renewal');
    expect(await release(a, held)).toBe('released');
  });

  it('tells at once of a key that was deleted, where it is watched', async () => {
    for (const backend of [await connect({ watch: true }), await connect({ watch: true })]) {
      const told: (Grant | undefined)[] = [];
      backend.onSuspect!((grant) => told.push(grant));
      const held = await take(backend);
      await backend.renew(held, 30_000);
      // The registration follows the renewal.
      await backend.ping();
      await server.command('DEL', 'lock:a');
      await until(async () => told.includes(held), 'the word');
      await expect(backend.renew(held, 30_000)).rejects.toThrow(LockLostError);
    }
  });

  it('says what is locked, by whomever', async () => {
    const a = await connect();
    expect([await a.isLocked!('a', 'lock'), await a.isLocked!('a', 'sem')]).toEqual([false, false]);
    await server.command('SET', 'lock:a', 'somebody');
    await take(a, request({ kind: 'sem', limit: 2, leaseMs: 300 }));
    expect([await a.isLocked!('a', 'lock'), await a.isLocked!('a', 'sem')]).toEqual([true, true]);
    await until(async () => !(await a.isLocked!('a', 'sem')), 'the lease to end');
  });

  it('tells of the server and of itself', async () => {
    const a = await connect();
    const held = await take(a);
    enqueue(a, request()).grant.catch(() => undefined);
    await until(async () => (await sum('waiters')) === 1, 'the waiter');
    const [stats] = await a.stats();
    expect(stats).toMatchObject({
      server: server.address,
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      role: 'master',
      memoryPolicy: 'noeviction',
      connectedReplicas: 0,
      queues: 1,
      waiters: 1,
      ops: 2,
      lostPlaces: 0,
      confirmations: 0,
      orphans: 0,
    });
    expect(held.server).toBe(server.address);
  });

  it('refuses a key that holds something else', async () => {
    const a = await connect();
    await server.command('LPUSH', 'lock:a', 'x');
    await expect(a.tryAcquire(request())).rejects.toMatchObject({ code: 'KEY', key: 'a', server: server.address });
    await expect(enqueue(a, request()).grant).rejects.toMatchObject({ code: 'KEY' });
  });
});
