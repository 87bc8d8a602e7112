import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Grant, LinkEvent } from '../../../../lib/backends/backend.js';
import type { RedisBackend } from '../../../../lib/backends/redis/redis.js';
import {
  LockKeyError,
  LockLostError,
  LockUnavailableError,
  ProtocolError,
  ShuttingDownError,
  UnsupportedError,
} from '../../../../lib/common/errors.js';
import { DRIVERS, Caller, DIGITS, lost, request, ScriptedRedis } from './scripted-redis.js';

const TOKEN = '1700000000000000aaaaaaaaaa000001';

describe.each(DRIVERS)('the Redis backend, on %s', (_driver, kind) => {
  let redis: ScriptedRedis;
  let backend: RedisBackend;
  let asked: string[];
  let reply: unknown;

  beforeEach(async () => {
    redis = new ScriptedRedis(kind);
    backend = await redis.backend();
    asked = [];
    const { info } = redis;
    redis.command = async (key, args) => {
      asked.push(`${key ?? 'any'}: ${args.join(' ')}`);
      return args[0] === 'INFO' ? info : reply;
    };
  });

  it('finds a lock held where its key exists', async () => {
    reply = 1;
    expect(await backend.isLocked('a', 'lock')).toBe(true);
    reply = '0';
    expect(await backend.isLocked('a', 'lock')).toBe(false);
    expect(asked).toEqual(['lock:a: EXISTS lock:a', 'lock:a: EXISTS lock:a']);
  });

  it('finds a semaphore held where it has holders', async () => {
    const answers = [backend.isLocked('a', 'sem'), backend.isLocked('b', 'sem')];
    const call = await redis.call();
    expect(call.ops).toMatchObject([
      { key: 'sem:a', op: 'i' },
      { key: 'sem:b', op: 'i' },
    ]);
    await call.answer(2, 0);
    expect(await Promise.all(answers)).toEqual([true, false]);
    const failed = backend.isLocked('a', 'sem');
    const failing = expect(failed).rejects.toBeInstanceOf(LockUnavailableError);
    await (await redis.call()).fail();
    await failing;
    const refused = expect(backend.isLocked('a', 'sem')).rejects.toBeInstanceOf(LockKeyError);
    await (await redis.call()).answer(['E', 'WRONGTYPE x']);
    await refused;
  });

  it('asks whether the server is there', async () => {
    await backend.ping();
    expect(asked).toEqual(['any: PING']);
    redis.listener.down(lost());
    await expect(backend.ping()).rejects.toBeInstanceOf(LockUnavailableError);
    await expect(backend.isLocked('a', 'lock')).rejects.toBeInstanceOf(LockUnavailableError);
    await expect(backend.stats()).rejects.toBeInstanceOf(LockUnavailableError);
    expect(asked).toHaveLength(1);
  });

  it('counts what has happened', async () => {
    for (const key of ['a', 'a', 'b']) Caller.wait(backend, redis.clock, { key });
    await (await redis.call()).answer([0, 9000, TOKEN], [1, 9000, TOKEN], [0, 9000, TOKEN]);
    const slot = backend.tryAcquire(request(redis.clock, { kind: 'sem' }));
    await (await redis.call()).answer(DIGITS);
    await slot;
    redis.publish(`g${DIGITS}bbbbbbbbbb000001lock:z`);
    expect((await redis.call()).ops).toMatchObject([{ key: 'lock:z', op: 'r' }]);
    expect(await backend.stats()).toEqual([
      {
        ...{ server: 'here:6379', version: '7.0.15', role: 'master', memoryPolicy: 'noeviction', connectedReplicas: 0 },
        ...{
          pokes: 0,
          lostPlaces: 0,
          confirmations: 0,
          orphans: 1,
          queues: 2,
          waiters: 3,
          calls: kind.writesAtOnce ? 6 : 4,
          ops: 5,
        },
      },
    ]);
  });

  it('tells of its link until nobody wants to hear it', () => {
    const events: LinkEvent[] = [];
    const stop = backend.onLink((event) => events.push(event));
    let suspicions = 0;
    const forget = backend.onSuspect(() => suspicions++);
    redis.listener.down(lost());
    redis.listener.up();
    expect([events.length, suspicions]).toEqual([2, 1]);
    stop();
    forget();
    redis.listener.down(lost());
    redis.listener.up();
    expect([events.length, suspicions]).toEqual([2, 1]);
  });

  it('renews a slot of a semaphore by an op of its script', async () => {
    const slot = backend.tryAcquire(request(redis.clock, { kind: 'sem', limit: 3 }));
    await (await redis.call()).answer(DIGITS);
    const grant = (await slot)!;
    const renew = (): Promise<unknown> => backend.renew(grant, 20_000).catch((error: unknown) => error);
    const outcomes = [];
    for (const answer of [1, 0, ['E', 'WRONGTYPE x']]) {
      const outcome = renew();
      const call = await redis.call();
      expect(call.ops).toEqual([{ key: 'sem:a', op: 'n', x: grant.token, y: '20000' }]);
      expect([call.script, call.args.at(-1)]).toEqual(['semaphore', '3']);
      await call.answer(answer);
      outcomes.push(await outcome);
    }
    const last = renew();
    await (await redis.call()).fail();
    outcomes.push(await last);
    expect(outcomes[0]).toEqual({ validFrom: 1000, leaseMs: 20_000 });
    expect(outcomes[1]).toBeInstanceOf(LockLostError);
    expect(outcomes[2]).toBeInstanceOf(LockKeyError);
    expect(outcomes[3]).toBeInstanceOf(LockUnavailableError);
  });

  describe('renews many locks at once', () => {
    let grants: Grant[];
    let outcomes: unknown[];

    beforeEach(async () => {
      const tries = ['a', 'b', 'c', 'd'].map((key) => backend.tryAcquire(request(redis.clock, { key })));
      await (await redis.call()).answer(...tries.map(() => DIGITS));
      grants = (await Promise.all(tries)) as Grant[];
      await redis.clock.advanceAsync(500);
      outcomes = [];
    });

    const renewAll = (leaseMs = 20_000): void =>
      backend.renewAll(
        grants.map((grant, i) => {
          const told = (outcome: unknown): void => void (outcomes[i] = outcome);
          return { grant, leaseMs, renewed: told, failed: told };
        }),
      );

    it('in one call, and tells each its outcome', async () => {
      renewAll();
      const call = await redis.call();
      expect(call.script).toBe('renew');
      expect(call.ops).toEqual(
        grants.map(({ req: { key }, token }) => ({ key: `lock:${key}`, op: 'n', x: token, y: '20000' })),
      );
      await redis.clock.advanceAsync(100);
      await call.answer(1, 0, ['E', 'OOM command not allowed'], 1);
      expect(outcomes[0]).toEqual({ validFrom: 1500, leaseMs: 20_000 });
      expect(outcomes[1]).toBeInstanceOf(LockLostError);
      expect(outcomes[1]).toMatchObject({ key: 'b', reason: 'rejected', server: 'here:6379' });
      expect(outcomes[2]).toBeInstanceOf(LockUnavailableError);
      expect(outcomes[3]).toEqual({ validFrom: 1500, leaseMs: 20_000 });
    });

    it('and is answered 1 for all of them', async () => {
      renewAll();
      await (await redis.call()).reply(1);
      expect(outcomes).toEqual(grants.map(() => ({ validFrom: 1500, leaseMs: 20_000 })));
    });

    it.each([2, 'OK', null, [1, 1, 1], [1, 1, 1, 1, 1]])('or none where the answer is %j', async (reply) => {
      renewAll();
      await (await redis.call()).reply(reply);
      expect(outcomes.map((outcome) => outcome instanceof ProtocolError)).toEqual([true, true, true, true]);
    });

    it('in one call for each lease that is asked for', async () => {
      const proofs = [20_000, 5000, 20_000, 5000].map((leaseMs, i) => backend.renew(grants[i]!, leaseMs));
      const settled = Promise.allSettled(proofs);
      const calls = await redis.sent();
      expect(calls.map(({ ops }) => ops.map(({ key, y }) => `${key} ${y}`))).toEqual([
        ['lock:a 20000', 'lock:c 20000'],
        ['lock:b 5000', 'lock:d 5000'],
      ]);
      await calls[1]!.answer(1, 0);
      await calls[0]!.reply(1);
      const statuses = (await settled).map(({ status }) => status);
      expect(statuses).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
      expect((await proofs[1])!.leaseMs).toBe(5000);
    });

    it('for its own lease where none is asked for', async () => {
      renewAll(0);
      await (await redis.call()).answer(1, 1, 1, 1);
      expect(outcomes).toEqual(grants.map(() => ({ validFrom: 1500, leaseMs: 33_000 })));
    });

    it('and tells each that no answer came; a release is tried until the longer lease is over', async () => {
      renewAll();
      await (await redis.call()).fail();
      expect(outcomes.map((outcome) => outcome instanceof LockUnavailableError)).toEqual([true, true, true, true]);
      let released: unknown;
      backend.release(grants[0]!, (outcome) => (released = outcome));
      const failFor = async (seconds: number): Promise<void> => {
        for (let second = 0; second < seconds; second++) {
          await redis.clock.advanceAsync(1000);
          for (const call of await redis.sent()) await call.fail();
        }
      };
      await failFor(15);
      expect(released).toBeUndefined();
      await failFor(6);
      expect(released).toBeInstanceOf(LockUnavailableError);
    });

    it('or none of them when it is down, closed, or asked for a lease without end', async () => {
      renewAll(Infinity);
      expect(outcomes.map((outcome) => outcome instanceof UnsupportedError)).toEqual([true, true, true, true]);
      redis.listener.down(lost());
      renewAll();
      expect(outcomes.map((outcome) => outcome instanceof LockUnavailableError)).toEqual([true, true, true, true]);
      await backend.close(0);
      renewAll();
      expect(outcomes.map((outcome) => outcome instanceof ShuttingDownError)).toEqual([true, true, true, true]);
      expect(await redis.sent()).toEqual([]);
    });
  });

  it('says the same trouble again only after ten seconds', async () => {
    const trouble = async (): Promise<void> => {
      const one = backend.tryAcquire(request(redis.clock)).catch(() => undefined);
      await (await redis.call()).answer(['E', 'OOM command not allowed']);
      await one;
      await (await redis.call()).answer(0);
    };
    const told = (): number => redis.events.filter(({ state }) => state === 'degraded').length;
    await trouble();
    await redis.clock.advanceAsync(9_999);
    await trouble();
    expect(told()).toBe(1);
    await redis.clock.advanceAsync(1);
    await trouble();
    expect(told()).toBe(2);
  });

  it('refuses those who wait when it is closed, naming the server', async () => {
    const caller = Caller.wait(backend, redis.clock);
    await (await redis.call()).answer([0, 9000, TOKEN]);
    const closing = backend.close(0);
    await redis.clock.advanceAsync(0);
    await closing;
    expect(caller.error).toBeInstanceOf(ShuttingDownError);
    expect(caller.error).toMatchObject({ server: 'here:6379' });
  });
});
