import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisBackend } from '../../../../lib/backends/redis/redis.js';
import { Caller, DIGITS, DRIVERS, request, ScriptedRedis } from './scripted-redis.js';

describe.each(DRIVERS)('on %s', (_driver, kind) => {
  let redis: ScriptedRedis;
  let backend: RedisBackend;
  beforeEach(async () => {
    redis = new ScriptedRedis(kind);
    redis.withSingles = true;
    backend = await redis.backend();
  });

  describe('an op by itself', () => {
    const wait = (change = {}): Caller => Caller.wait(backend, redis.clock, change);

    it('has a script that needs little, and is all there is where nobody else is', async () => {
      const caller = wait();
      const call = await redis.call();
      expect(call).toMatchObject({ script: 'single-acquire', keys: ['dflockd:fence', 'lock:a', '{lock:a}:q'] });
      redis.clock.stall(40);
      await call.reply(DIGITS);
      expect(caller.grant).toMatchObject({ validFrom: call.at, token: DIGITS + call.ops[0]!.x });
      const said: unknown[] = [];
      backend.release(caller.grant!, (outcome) => said.push(outcome));
      const release = await redis.call();
      expect(release).toMatchObject({ script: 'single-release', keys: ['lock:a', '{lock:a}:q'] });
      await release.reply(1);
      expect(said).toEqual(['released']);
      const [stats] = await backend.stats();
      expect(stats).toMatchObject({ ops: 2, calls: 2 });
    });

    it('is asked again in full where there is somebody, and counts from that on', async () => {
      const caller = wait();
      const first = await redis.call();
      redis.clock.stall(40);
      await first.reply(null);
      const second = await redis.call();
      expect(second).toMatchObject({ script: 'lock', at: first.at + 40, ops: first.ops });
      await second.answer(DIGITS);
      expect(caller.grant).toMatchObject({ validFrom: second.at });
    });

    it('is asked in full at once where there was somebody the last time', async () => {
      wait();
      await (await redis.call()).reply(null);
      await (await redis.call()).answer([0, 9000, '']);
      const second = wait();
      const call = await redis.call();
      expect(call.script).toBe('lock');
      await call.answer(DIGITS);
      backend.abandon(second.grant!);
      expect((await redis.call()).script).toBe('single-release');
    });

    it('is not overtaken by those who come after it', async () => {
      wait({ leaseMs: 1000 });
      const first = await redis.call();
      wait({ leaseMs: 1001 });
      wait({ leaseMs: 1002, key: 'b' });
      const left = wait({ leaseMs: 1003 });
      wait({ leaseMs: 1004 });
      expect((await redis.call()).ops).toMatchObject([{ key: 'lock:b' }]);
      left.cancel();
      await first.reply(null);
      const calls = await redis.sent();
      expect(calls.flatMap(({ ops }) => ops.map(({ y }) => y))).toEqual(['1000', '1001', '1004']);
    });

    it('is followed by the others whatever comes of it', async () => {
      wait();
      const first = await redis.call();
      const second = wait();
      expect(await redis.sent()).toEqual([]);
      await first.fail();
      await (await redis.call()).reply(DIGITS);
      expect(second.grant).toBeDefined();
    });

    it('is not asked again for a caller that has left', async () => {
      const caller = wait();
      const first = await redis.call();
      caller.cancel();
      await first.reply(null);
      const call = await redis.call();
      expect(call.ops.map(({ op }) => op)).toEqual(['c']);
    });

    it('of a try, and of a release that keeps the lock', async () => {
      const taken = backend.tryAcquire(request(redis.clock));
      await (await redis.call()).reply(DIGITS);
      backend.release((await taken)!, () => undefined, 500);
      expect(await redis.call()).toMatchObject({ script: 'lock', ops: [{ op: 'r', y: '500' }] });
      const busy = backend.tryAcquire(request(redis.clock));
      await (await redis.call()).reply(null);
      await (await redis.call()).answer(300);
      expect(await busy).toBeNull();
    });

    it('of a semaphore has no such script', async () => {
      wait({ kind: 'sem', limit: 2 });
      expect((await redis.call()).script).toBe('semaphore');
    });
  });

  describe('acquires of one key', () => {
    const wait = (leaseMs: number, key = 'a'): Caller => Caller.wait(backend, redis.clock, { leaseMs, key });
    /** What was sent for a key. */
    const sent = async (key = 'a'): Promise<string[]> => {
      const ops = (await redis.sent()).flatMap((call) => call.ops);
      return ops.filter((op) => op.key === `lock:${key}`).map(({ op, y }) => op + y);
    };

    it('stay in order when a release before them has to be sent again', async () => {
      const holder = wait(999);
      await (await redis.call()).reply(DIGITS);
      backend.abandon(holder.grant!);
      const release = await redis.call();
      wait(1000);
      const first = await redis.call();
      wait(1001);
      await release.reply(null);
      expect(await sent()).toEqual(['r0']);
      await first.reply(null);
      expect(await sent()).toEqual(['q1000', 'q1001']);
    });

    it('stay in order when the answer to the first comes while others are asked for', async () => {
      wait(1000);
      const first = await redis.call();
      wait(1001);
      expect(await sent()).toEqual([]);
      wait(1, 'b');
      wait(1002);
      await first.reply(null);
      expect(await sent()).toEqual(['q1000', 'q1001', 'q1002']);
    });

    it('do not try the usual case again behind one that has taken the lock', async () => {
      const holder = wait(1000);
      const first = await redis.call();
      wait(1001);
      wait(1002);
      await first.reply(DIGITS);
      expect(holder.grant).toBeDefined();
      const calls = await redis.sent();
      expect(calls.map(({ script }) => script)).not.toContain('single-acquire');
      expect(calls.flatMap(({ ops }) => ops.map(({ y }) => y))).toEqual(['1001', '1002']);
    });

    it.each([
      ['a long key', 'a'.repeat(129), () => undefined],
      ['a key among many', 'a', () => Array.from({ length: 1024 }, (_, i) => void wait(1, `k${i}`))],
    ])('stay in order for %s', async (_what, key, others) => {
      wait(1000, key);
      const [first] = await redis.sent();
      others();
      await redis.sent();
      wait(1, 'b');
      wait(1, 'c');
      wait(1001, key);
      const second = await sent(key);
      await first!.reply(null);
      // With a script that can put it into the queue at once, the first needs no second request.
      const again = first!.script === 'lock' ? [] : ['q1000'];
      expect([...second, ...(await sent(key))]).toEqual([...again, 'q1001']);
    });
  });
});

describe('the ops of one turn', () => {
  const inCalls = async (count: number, redis = new ScriptedRedis()): Promise<number[]> => {
    const backend = await redis.backend();
    for (let i = 0; i < count; i++) Caller.wait(backend, redis.clock, { key: `k${i}` });
    const calls = await redis.sent();
    const keys = calls.flatMap(({ ops }) => ops.map(({ key }) => key));
    expect(keys).toEqual(Array.from({ length: count }, (_, i) => `lock:k${i}`));
    return calls.map(({ ops }) => ops.length);
  };

  it.each([
    [2, [2]],
    [32, [32]],
    [33, [32, 1]],
    [100, [32, 32, 32, 4]],
  ])('leave together: %i in calls of %j', async (count, calls) => {
    expect(await inCalls(count)).toEqual(calls);
  });

  it.each([
    [1, [1]],
    [6, [1, 5]],
    [7, [1, 3, 3]],
    [10, [1, 5, 4]],
    [64, [1, 32, 31]],
    [100, [1, 32, 32, 32, 3]],
  ])(
    'leave so that Redis, where it can begin at once, works while the rest is made: %i in calls of %j',
    async (count, calls) => {
      expect(await inCalls(count, new ScriptedRedis({ writesAtOnce: true }))).toEqual(calls);
    },
  );
});
