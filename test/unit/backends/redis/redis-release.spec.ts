import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Grant, Released } from '../../../../lib/backends/backend.js';
import type { RedisBackend } from '../../../../lib/backends/redis/redis.js';
import { ConfigError, LockLostError, LockUnavailableError, ShuttingDownError } from '../../../../lib/common/errors.js';
import { DRIVERS, Caller, DIGITS, lost, request, ScriptedRedis } from './scripted-redis.js';

const TOKEN = '1700000000000000aaaaaaaaaa000001';

describe.each(DRIVERS)('what is held, on %s', (_driver, kind) => {
  let redis: ScriptedRedis;
  let backend: RedisBackend;
  beforeEach(async () => {
    redis = new ScriptedRedis(kind);
    backend = await redis.backend();
  });

  const take = async (change = {}): Promise<Grant> => {
    const promise = backend.tryAcquire(request(redis.clock, change));
    await (await redis.call()).answer(DIGITS);
    return (await promise)!;
  };

  const release = (grant: Grant, keepMs?: number): Released[] => {
    const said: Released[] = [];
    backend.release(grant, (outcome) => void said.push(outcome), keepMs);
    return said;
  };

  it.each([
    [1, 'released'],
    [0, 'gone'],
  ] as const)('is released: %d is %s', async (reply, outcome) => {
    const grant = await take();
    const said = release(grant);
    const call = await redis.call();
    expect(call.ops).toEqual([{ key: 'lock:a', op: 'r', x: grant.token, y: '0' }]);
    await call.answer(reply);
    expect(said).toEqual([outcome]);
  });

  it('is kept for a while', async () => {
    const said = release(await take(), 400.5);
    const call = await redis.call();
    expect(call.ops).toMatchObject([{ op: 'r', y: '401' }]);
    await call.answer(1);
    expect(said).toEqual(['released']);
  });

  it('is handed over within the process by the answer to its release', async () => {
    const grant = await take();
    const caller = Caller.wait(backend, redis.clock);
    const asked = await redis.call();
    await asked.answer([0, 9000, grant.token]);
    redis.clock.stall(8000);
    const said = release(grant);
    const call = await redis.call();
    redis.clock.stall(10);
    await call.answer(DIGITS + asked.ops[0]!.x);
    expect(said).toEqual(['released']);
    expect(caller.grant).toMatchObject({ validFrom: call.at, leaseMs: 10_000 });
  });

  it('is handed over to several that wait for slots', async () => {
    const grant = await take({ kind: 'sem', limit: 2 });
    const callers = [0, 1].map(() => Caller.wait(backend, redis.clock, { kind: 'sem', limit: 2 }));
    const asked = await redis.call();
    await asked.answer([0, 9000, ''], [1, 9000, '']);
    release(grant);
    await (await redis.call()).answer(['G', ...asked.ops.map(({ x }) => DIGITS + x)]);
    expect(callers.map((caller) => caller.grant?.token)).toEqual(asked.ops.map(({ x }) => DIGITS + x));
  });

  it('is released again, by the same token, when nobody knows what came of it; that it is gone then is no surprise', async () => {
    const grant = await take();
    const said = release(grant);
    const first = await redis.call();
    redis.listener.down(lost());
    await first.fail();
    await redis.clock.advanceAsync(1000);
    expect(said).toEqual([]);
    expect(await redis.sent()).toEqual([]);
    redis.listener.up();
    const second = await redis.call();
    expect(second.ops).toEqual(first.ops);
    await second.answer(0);
    expect(said).toEqual(['released']);
  });

  it('is given up by its release when the lease has ended', async () => {
    const grant = await take();
    redis.listener.down(lost());
    const said = release(grant);
    await redis.clock.advanceAsync(9999);
    expect(said).toEqual([]);
    await redis.clock.advanceAsync(1);
    expect(said).toEqual([expect.any(LockUnavailableError)]);
    redis.listener.up();
    expect(await redis.sent()).toEqual([]);
    expect(redis.clock.pendingTimers).toBe(0);
  });

  it('is released for as long as the last renewal may have made it last', async () => {
    const grant = await take();
    redis.clock.stall(5000);
    const renewal = backend.renew(grant, 10_000).catch((error: unknown) => error);
    await (await redis.call()).fail();
    expect(await renewal).toBeInstanceOf(LockUnavailableError);
    redis.listener.down(lost());
    const said = release(grant);
    await redis.clock.advanceAsync(9999);
    expect(said).toEqual([]);
    redis.listener.up();
    await (await redis.call()).answer(1);
    expect(said).toEqual(['released']);
  });

  it('tells its release once', async () => {
    const grant = await take();
    const said = release(grant);
    const call = await redis.call();
    await call.fail();
    await redis.clock.advanceAsync(150);
    const again = await redis.call();
    await redis.clock.advanceAsync(20_000);
    await again.answer(1);
    expect(said).toEqual([expect.any(LockUnavailableError)]);
  });

  it('is left to its lease where a right is missing, and says so', async () => {
    const said = release(await take());
    await (await redis.call()).answer(['E', "ERR The user executing the script can't run this command or subcommand"]);
    expect(said).toEqual([expect.any(ConfigError)]);
    const detail = expect.stringMatching(/denies a right: .*docs\/redis\.md/) as unknown;
    expect(redis.events.at(-1)).toMatchObject({ state: 'degraded', detail });
  });

  it('is abandoned without a word', async () => {
    const grant = await take();
    backend.abandon(grant);
    backend.abandon(grant);
    const call = await redis.call();
    expect(call.ops.map(({ op }) => op)).toEqual(['r', 'r']);
    await call.answer(1, 0);
  });

  it('is released with what else is asked for in the turn where nobody else is', async () => {
    const grants = [await take({ key: 'a' }), await take({ key: 'b' })];
    for (const grant of grants) backend.release(grant, () => undefined);
    const call = await redis.call();
    expect(call.ops.map(({ op, key }) => [op, key])).toEqual([
      ['r', 'lock:a'],
      ['r', 'lock:b'],
    ]);
    await call.answer(1, 1);
  });

  it('is released at once where somebody waits, if that is the first request of the turn', async () => {
    const grants = [await take({ key: 'a' }), await take({ key: 'b' }), await take({ key: 'c' })];
    const [{ token }] = grants as [Grant];
    Caller.wait(backend, redis.clock, { key: 'a' });
    await (await redis.call()).answer([0, 9000, token]);
    for (const grant of grants) backend.release(grant, () => undefined);
    const [first, others] = await redis.sent();
    expect(first!.ops.map(({ key }) => key)).toEqual(['lock:a']);
    expect(others!.ops.map(({ op, key }) => [op, key])).toEqual([
      ['r', 'lock:b'],
      ['r', 'lock:c'],
    ]);
    await first!.answer(1);
    await others!.answer(1, 1);
  });

  it('is renewed from the time at which that was sent', async () => {
    const grant = await take();
    redis.clock.stall(3000);
    const proof = backend.renew(grant, 20_000);
    const call = await redis.call();
    expect(call).toMatchObject({ script: 'renew', keys: ['lock:a'], ops: [{ x: grant.token, y: '20000' }] });
    redis.clock.stall(50);
    await call.answer(1);
    expect(await proof).toEqual({ validFrom: call.at, leaseMs: 20_000 });
  });

  it('is lost when its renewal says so; other errors leave it open', async () => {
    const grant = await take();
    const outcome = async (...reply: readonly unknown[]): Promise<unknown> => {
      const renewal = backend.renew(grant, 10_000).catch((error: unknown) => error);
      await (await redis.call()).answer(...reply);
      return renewal;
    };
    expect(await outcome(0)).toBeInstanceOf(LockLostError);
    expect(await outcome(0)).toMatchObject({ reason: 'rejected', key: 'a', server: 'here:6379' });
    expect(await outcome(['E', 'OOM x'])).toBeInstanceOf(LockUnavailableError);
    expect(await outcome()).toMatchObject({ code: 'PROTOCOL' });
  });

  it('is renewed in portions of 250 keys', async () => {
    const tries = Array.from({ length: 600 }, (_, i) => backend.tryAcquire(request(redis.clock, { key: `k${i}` })));
    for (const call of await redis.sent()) await call.answer(...call.ops.map(() => DIGITS));
    const grants = await Promise.all(tries);
    const renewals = grants.map((grant) => backend.renew(grant!, 10_000));
    const calls = await redis.sent();
    expect(calls.map(({ keys }) => keys.length)).toEqual([250, 250, 100]);
    for (const call of calls) await call.answer(...call.keys.map(() => 1));
    await Promise.all(renewals);
  });

  it('is all renewed soon after the connection is back, and not before', async () => {
    const suspected: unknown[] = [];
    const stop = backend.onSuspect((grant) => suspected.push(grant ?? 'all'));
    redis.listener.down(lost());
    expect(suspected).toEqual([]);
    redis.listener.up();
    expect(suspected).toEqual(['all']);
    stop();
    redis.listener.down(lost());
    redis.listener.up();
    expect(suspected).toEqual(['all']);
  });

  it('does not wait for a connection to fail a renewal or a try', async () => {
    const grant = await take();
    redis.listener.down(lost());
    await expect(backend.renew(grant, 1000)).rejects.toThrow(LockUnavailableError);
    await expect(backend.tryAcquire(request(redis.clock))).rejects.toThrow(LockUnavailableError);
    await expect(backend.isLocked('a', 'lock')).rejects.toThrow(LockUnavailableError);
    await expect(backend.ping()).rejects.toThrow(LockUnavailableError);
    await expect(backend.stats()).rejects.toThrow(LockUnavailableError);
    expect(await redis.sent()).toEqual([]);
  });

  it('is gone when its key holds something else, as its renewal would say', async () => {
    const said = release(await take());
    await (await redis.call()).answer(['E', 'WRONGTYPE Operation against a key holding the wrong kind of value']);
    expect(said).toEqual(['gone']);
  });

  describe('at the close', () => {
    it('is left to its lease; waiters are refused and leave the queue, in one call', async () => {
      await take();
      const callers = [0, 1, 2].map((i) => Caller.wait(backend, redis.clock, { key: `k${i}` }));
      const asked = await redis.call();
      await asked.answer([0, 9000, TOKEN], [0, 9000, TOKEN], [0, 9000, TOKEN]);
      const closing = backend.close(1000);
      expect(callers.map(({ error }) => error)).toEqual(callers.map(() => expect.any(ShuttingDownError)));
      const call = await redis.call();
      expect(call.ops.map(({ op }) => op)).toEqual(['c', 'c', 'c']);
      expect(redis.isClosed).toBe(false);
      await call.answer(1, 1, 1);
      await closing;
      expect(redis.isClosed).toBe(true);
      expect(redis.clock.pendingTimers).toBe(0);
    });

    it('waits for open answers, but not for ever', async () => {
      const said = release(await take());
      await redis.call();
      const closing = backend.close(1000);
      expect(backend.close(5)).toBe(closing);
      await redis.clock.advanceAsync(999);
      expect(redis.isClosed).toBe(false);
      await redis.clock.advanceAsync(2);
      await closing;
      expect(redis.isClosed).toBe(true);
      expect(said).toEqual([]);
    });

    it('fails everything afterwards, and says so once', async () => {
      const grant = await take();
      await backend.close(1000);
      expect(release(grant)).toEqual([expect.any(ShuttingDownError)]);
      backend.abandon(grant);
      expect(() => Caller.wait(backend, redis.clock)).toThrow(ShuttingDownError);
      await expect(backend.tryAcquire(request(redis.clock))).rejects.toThrow(ShuttingDownError);
      await expect(backend.renew(grant, 1000)).rejects.toThrow(ShuttingDownError);
      await expect(backend.start()).rejects.toThrow(ShuttingDownError);
      expect(await redis.sent()).toEqual([]);
    });

    it('frees what a try is granted meanwhile, before it drops the connections', async () => {
      const pending = backend.tryAcquire(request(redis.clock));
      const call = await redis.call();
      const closing = backend.close(1000);
      void pending.then((grant) => backend.abandon(grant!));
      await call.answer(DIGITS);
      const freed = await redis.call();
      expect(freed.ops).toMatchObject([{ op: 'r', x: DIGITS + call.ops[0]!.x }]);
      expect(redis.isClosed).toBe(false);
      await freed.answer(1);
      await closing;
      expect(redis.isClosed).toBe(true);
    });

    it('ends releases that wait for a connection', async () => {
      const grant = await take();
      redis.listener.down(lost());
      const said = release(grant);
      await backend.close(1000);
      expect(said).toEqual([expect.any(ShuttingDownError)]);
    });
  });

  describe('and watched', () => {
    const suspects: (Grant | undefined)[] = [];
    beforeEach(async () => {
      suspects.length = 0;
      backend = await redis.backend({ watch: true });
      backend.onSuspect((grant) => suspects.push(grant));
      redis.watched.length = 0;
    });

    const renew = async (grant: Grant): Promise<void> => {
      const proof = backend.renew(grant, 10_000);
      await (await redis.call()).answer(1);
      await proof;
    };

    it('is suspected as soon as somebody changes its key, once it has been renewed', async () => {
      const grant = await take();
      expect(redis.watched).toEqual([]);
      await renew(grant);
      expect(redis.watched).toEqual([['lock:a']]);
      redis.listener.invalidated(['lock:b']);
      expect(suspects).toEqual([]);
      redis.listener.invalidated(['lock:a']);
      expect(suspects).toEqual([grant]);
      redis.listener.invalidated(undefined);
      expect(suspects).toEqual([grant, undefined]);
    });

    it('is suspected when its key is gone already', async () => {
      redis.existing = () => 0;
      const grant = await take();
      await renew(grant);
      expect(suspects).toEqual([grant]);
    });

    it('is not watched any more when it has been released', async () => {
      const grant = await take();
      await renew(grant);
      release(grant);
      await (await redis.call()).answer(1);
      redis.listener.invalidated(['lock:a']);
      const other = await take();
      const proof = backend.renew(other, 10_000);
      release(other);
      const calls = await redis.sent();
      for (const call of calls) await call.answer(1);
      await proof;
      redis.listener.invalidated(['lock:a']);
      expect(suspects).toEqual([]);
      expect(redis.watched).toHaveLength(1);
    });
  });
});
