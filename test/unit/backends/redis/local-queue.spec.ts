import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisBackend } from '../../../../lib/backends/redis/redis.js';
import { LockKeyError } from '../../../../lib/common/errors.js';
import { DRIVERS, Caller, DIGITS, lost, ScriptedRedis } from './scripted-redis.js';

const TOKEN = '1700000000000000aaaaaaaaaa000001';

describe.each(DRIVERS)('the queue of a key in this process, on %s', (_driver, kind) => {
  let redis: ScriptedRedis;
  let backend: RedisBackend;
  beforeEach(async () => {
    redis = new ScriptedRedis(kind);
    backend = await redis.backend();
  });

  /** A caller in the queue, and the salt of its request. */
  const queued = async (change = {}, reply: readonly unknown[] = [0, 9000, TOKEN]) => {
    const caller = Caller.wait(backend, redis.clock, change);
    const call = await redis.call();
    await call.answer(reply);
    return { caller, salt: call.ops[0]!.x };
  };

  const counts = async () => (await backend.stats())[0]!;

  it('pokes about every second, for its first waiter', async () => {
    const { salt } = await queued();
    await queued({}, [1, 9000, TOKEN]);
    let last = redis.clock.now();
    for (let i = 0; i < 5; i++) {
      while (redis.clock.nextDue - redis.clock.now() < 5000 && redis.clock.nextDue !== Infinity) {
        await redis.clock.advanceAsync(redis.clock.nextDue - redis.clock.now());
        const [poke] = await redis.sent();
        if (!poke) continue;
        expect(poke.ops).toHaveLength(1);
        expect(poke.ops[0]).toMatchObject({ op: 'p', key: 'lock:a' });
        expect(poke.ops[0]!.x).toContain(salt);
        expect(poke.at - last).toBeGreaterThanOrEqual(900);
        expect(poke.at - last).toBeLessThanOrEqual(1150);
        last = poke.at;
        await poke.answer([0, 9000, TOKEN]);
        break;
      }
    }
    expect((await counts()).pokes).toBe(5);
  });

  it('pokes together with the others that are due within 50 ms', async () => {
    for (let i = 0; i < 200; i++) Caller.wait(backend, redis.clock, { key: `k${i}` });
    for (const call of await redis.sent()) await call.answer(...call.ops.map(() => [0, 9000, TOKEN]));
    let calls = 0;
    let pokes = 0;
    for (let i = 0; i < 1200; i++) {
      await redis.clock.advanceAsync(1);
      for (const call of await redis.sent()) {
        calls++;
        pokes += call.ops.length;
      }
    }
    expect(pokes).toBe(200);
    expect(calls).toBeLessThanOrEqual(12);
  });

  it('pokes just after the lease of the holder, if its waiter is the first of all', async () => {
    await queued({}, [0, 300, TOKEN]);
    await redis.clock.advanceAsync(300);
    expect(await redis.sent()).toEqual([]);
    await redis.clock.advanceAsync(1);
    expect((await redis.call()).ops).toMatchObject([{ op: 'p' }]);
  });

  it('does not hurry for a holder whose lease ends while others come first', async () => {
    await queued({}, [1, 300, TOKEN]);
    await redis.clock.advanceAsync(600);
    expect(await redis.sent()).toEqual([]);
  });

  it.each([
    ['without a lease', -1],
    ['with a lease', 30_000],
  ])('looks often after a holder that uses something else, %s', async (_what, left) => {
    await queued({}, [0, left, 'somebody']);
    for (let i = 0; i < 4; i++) {
      const before = redis.clock.now();
      await redis.clock.advanceAsync(74);
      expect(await redis.sent()).toEqual([]);
      await redis.clock.advanceAsync(77);
      const poke = await redis.call();
      expect(poke.at - before).toBeLessThanOrEqual(151);
      await poke.answer([0, left, 'somebody']);
    }
  });

  it('looks soon and often for a holder that does not use these scripts, and at its usual pace for all others', async () => {
    const pokedWithin = async (ms: number): Promise<boolean> => {
      await redis.clock.advanceAsync(ms);
      return (await redis.sent()).some(({ ops }) => ops.some(({ op }) => op === 'p'));
    };
    backend = await redis.backend({ foreignPollMs: 200 });
    await queued({ key: 'foreign' }, [0, -1, 'somebody']);
    expect(await pokedWithin(149)).toBe(false);
    expect(await pokedWithin(151)).toBe(true);
    for (const [key, reply] of [
      ['ours', [0, -1, TOKEN]],
      ['free', [0, -1, '']],
      ['second', [1, -1, 'somebody']],
    ] as const) {
      redis = new ScriptedRedis(kind);
      backend = await redis.backend({ foreignPollMs: 200 });
      await queued({ key }, reply);
      expect([key, await pokedWithin(850)]).toEqual([key, false]);
    }
    redis = new ScriptedRedis(kind);
    backend = await redis.backend({ foreignPollMs: 200 });
    await queued({ kind: 'sem', limit: 2 }, [0, -1, 'somebody']);
    expect(await pokedWithin(850)).toBe(false);
  });

  it('asks nothing for those who left before their poke was sent', async () => {
    const { caller } = await queued();
    redis.publish('!lock:a');
    caller.cancel();
    const ops = (await redis.sent()).flatMap((call) => call.ops.map(({ op }) => op));
    // The poke of a driver that writes at once has been sent.
    expect(ops).toEqual(kind.writesAtOnce ? ['p', 'c'] : ['c']);
  });

  it('pokes at once when told to look, and once more if it was on its way', async () => {
    await queued();
    redis.publish('!lock:b');
    expect(await redis.sent()).toEqual([]);
    redis.publish('!lock:a');
    const first = await redis.call();
    redis.publish('!lock:a');
    redis.publish('!lock:a');
    expect(await redis.sent()).toEqual([]);
    await first.answer([0, 9000, TOKEN]);
    await (await redis.call()).answer([0, 9000, TOKEN]);
    expect(await redis.sent()).toEqual([]);
  });

  it('pokes at once when messages may have been lost', async () => {
    await queued();
    redis.listener.subscribed('dfl:x');
    await (await redis.call()).answer([0, 9000, TOKEN]);
    redis.listener.down(lost());
    redis.listener.subscribed('dfl:x');
    expect(await redis.sent()).toEqual([]);
    redis.listener.up();
    expect((await redis.call()).ops).toMatchObject([{ op: 'p' }]);
  });

  it('hands out what a poke finds: the lease is what is left of it, from when the poke was sent', async () => {
    const { caller, salt } = await queued();
    redis.publish('!lock:a');
    const poke = await redis.call();
    redis.clock.stall(100);
    await poke.answer([-1, 9500, DIGITS + salt]);
    expect(caller.grant).toMatchObject({ validFrom: poke.at, leaseMs: 9500, token: DIGITS + salt });
    expect(caller.grant!.wantedMs).toBeUndefined();
  });

  it('has a short lease renewed at once by who renews anyway', async () => {
    const caller = Caller.wait(backend, redis.clock, {}, true);
    const call = await redis.call();
    await call.answer([0, 9000, TOKEN]);
    redis.publish('!lock:a');
    await (await redis.call()).answer([-1, 6000, DIGITS + call.ops[0]!.x]);
    expect(caller.grant).toMatchObject({ leaseMs: 6000, wantedMs: 10_000 });
  });

  it('confirms what a poke finds with less than half of its lease', async () => {
    const { caller, salt } = await queued();
    redis.publish('!lock:a');
    await (await redis.call()).answer([-1, 4000, DIGITS + salt]);
    expect(caller.grant).toBeUndefined();
    await (await redis.call()).answer(1);
    expect(caller.grant).toMatchObject({ leaseMs: 10_000 });
  });

  it('leaves alone what a poke finds that somebody else holds', async () => {
    const { caller } = await queued();
    redis.publish('!lock:a');
    await (await redis.call()).answer([0, 9000, `${DIGITS}bbbbbbbbbb000001`]);
    expect(caller.grant).toBeUndefined();
    expect(await redis.sent()).toEqual([]);
  });

  it('enters again as a whole and in its own order when the first has lost its place', async () => {
    const first = await queued({ leaseMs: 1000 });
    const others = [
      await queued({ leaseMs: 1001 }, [1, 9000, TOKEN]),
      await queued({ leaseMs: 1002 }, [2, 9000, TOKEN]),
    ];
    redis.publish('!lock:a');
    await (await redis.call()).answer([-1, 9000, TOKEN]);
    const again = await redis.call();
    const salts = [first, ...others].map(({ salt }) => salt);
    expect(again.ops.map(({ op }) => op)).toEqual(['c', 'q', 'c', 'q', 'c', 'q']);
    expect(again.ops.filter(({ op }) => op === 'c').map(({ x }) => x.slice(10, 26))).toEqual(salts);
    const entered = again.ops.filter(({ op }) => op === 'q');
    expect(entered.map(({ y }) => y)).toEqual(['1000', '1001', '1002']);
    expect(salts).not.toContain(entered[0]!.x);
    expect(redis.events.at(-1)).toMatchObject({ state: 'degraded', server: 'here:6379' });
    expect(await counts()).toMatchObject({ lostPlaces: 3, waiters: 0, queues: 0 });
    await again.answer(0, [0, 9000, TOKEN], 0, [1, 9000, TOKEN], 0, [2, 9000, TOKEN]);
    expect(await counts()).toMatchObject({ waiters: 3, queues: 1 });
    expect(first.caller.grant ?? first.caller.error).toBeUndefined();
    // What comes for an old salt is for nobody.
    redis.publish(`g${DIGITS}${first.salt}lock:a`);
    expect((await redis.call()).ops).toMatchObject([{ op: 'r', x: DIGITS + first.salt }]);
  });

  it('does not enter again for one that was granted while the poke was on its way', async () => {
    const { caller, salt } = await queued();
    const second = await queued({}, [1, 9000, TOKEN]);
    redis.publish('!lock:a');
    const poke = await redis.call();
    redis.publish(`g${DIGITS}${salt}lock:a`);
    await poke.answer([-1, 9000, TOKEN]);
    expect(caller.grant).toBeDefined();
    expect(await redis.sent()).toEqual([]);
    expect(second.caller.error).toBeUndefined();
    expect((await counts()).lostPlaces).toBe(0);
  });

  it('says only now and then that waiters were dropped', async () => {
    for (let i = 0; i < 3; i++) {
      await queued({ key: `k${i}` });
      redis.publish(`!lock:k${i}`);
      await (await redis.call()).answer([-1, 9000, TOKEN]);
      await redis.sent();
    }
    expect(redis.events.filter(({ state }) => state === 'degraded')).toHaveLength(1);
  });

  it('pokes on after a poke that was not answered', async () => {
    await queued();
    redis.publish('!lock:a');
    await (await redis.call()).fail();
    await redis.clock.advanceAsync(1150);
    expect((await redis.call()).ops).toMatchObject([{ op: 'p' }]);
  });

  it('refuses its waiters when the key is no lock any more', async () => {
    const { caller } = await queued();
    redis.publish('!lock:a');
    await (await redis.call()).answer(['E', 'WRONGTYPE Operation against a key holding the wrong kind of value']);
    expect(caller.error).toBeInstanceOf(LockKeyError);
    expect(await counts()).toMatchObject({ queues: 0, waiters: 0 });
  });

  it('ends with its last waiter, and leaves no timer', async () => {
    const [first, second] = [await queued(), await queued({}, [1, 9000, TOKEN])];
    expect(await counts()).toMatchObject({ queues: 1, waiters: 2 });
    first.caller.cancel();
    expect(await counts()).toMatchObject({ queues: 1, waiters: 1 });
    redis.publish(`g${DIGITS}${second.salt}lock:a`);
    expect(await counts()).toMatchObject({ queues: 0, waiters: 0 });
    await (await redis.call()).answer(1);
    await redis.clock.advanceAsync(60_000);
    expect(await redis.sent()).toEqual([]);
    expect(redis.clock.pendingTimers).toBe(0);
  });

  it('pokes for the next when the first has gone', async () => {
    const [first, second] = [await queued(), await queued({}, [1, 9000, TOKEN])];
    first.caller.cancel();
    await (await redis.call()).answer(1);
    await redis.clock.advanceAsync(1150);
    const poke = await redis.call();
    expect(poke.ops[0]!.x).toContain(second.salt);
  });

  describe('of a semaphore', () => {
    const slots = { kind: 'sem', limit: 2 } as const;

    it('hands out what its poke has taken for others of this process', async () => {
      const [first, second] = [await queued(slots, [0, 9000, '']), await queued(slots, [1, 9000, ''])];
      redis.publish('!sem:a');
      const poke = await redis.call();
      expect(poke.keys).toEqual(['dflockd:fence', 'sem:a', '{sem:a}:q', '{sem:a}:l', '{sem:a}:n']);
      await poke.answer([-1, 10_000, DIGITS + first.salt, DIGITS + second.salt]);
      expect(first.caller.grant).toMatchObject({ validFrom: poke.at, leaseMs: 10_000 });
      expect(second.caller.grant).toMatchObject({ validFrom: poke.at, leaseMs: 10_000 });
    });

    it('is served by messages of its own', async () => {
      const { caller, salt } = await queued(slots, [0, 9000, '']);
      redis.publish(`d${DIGITS}${salt}sem:a`);
      const renewal = await redis.call();
      expect(renewal).toMatchObject({ script: 'semaphore', ops: [{ op: 'n', x: DIGITS + salt, y: '10000' }] });
      await renewal.answer(1);
      expect(caller.grant).toMatchObject({ validFrom: renewal.at });
    });
  });
});
