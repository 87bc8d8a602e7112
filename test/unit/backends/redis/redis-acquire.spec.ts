import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisBackend } from '../../../../lib/backends/redis/redis.js';
import {
  AcquireTimeoutError,
  ConfigError,
  LimitMismatchError,
  LockKeyError,
  LockUnavailableError,
  UnsupportedError,
} from '../../../../lib/common/errors.js';
import { DRIVERS, Caller, DIGITS, lost, request, ScriptedRedis, type SentOp } from './scripted-redis.js';

const FOREIGN = 'somebody';
const TOKEN = '1700000000000000aaaaaaaaaa000001';

describe.each(DRIVERS)('an acquire, on %s', (_driver, kind) => {
  let redis: ScriptedRedis;
  let backend: RedisBackend;
  beforeEach(async () => {
    redis = new ScriptedRedis(kind);
    backend = await redis.backend();
  });

  const wait = (change = {}, autoRenew = false): Caller => Caller.wait(backend, redis.clock, change, autoRenew);
  /** A caller in the queue, and the salt of its request. */
  const queued = async (change = {}, rank = 0, autoRenew = false): Promise<{ caller: Caller; salt: string }> => {
    const caller = wait(change, autoRenew);
    const call = await redis.call();
    await call.answer([rank, 9000, TOKEN]);
    return { caller, salt: call.ops[0]!.x };
  };

  it('sends one op, and is granted from the time at which that was sent', async () => {
    const caller = wait();
    const call = await redis.call();
    expect(call).toMatchObject({
      script: 'lock',
      keys: ['dflockd:fence', 'lock:a', '{lock:a}:q', '{lock:a}:l'],
      ops: [{ key: 'lock:a', op: 'q', y: '10000' }],
    });
    redis.clock.stall(700);
    await call.answer(DIGITS);
    expect(caller.grant).toMatchObject({ validFrom: 1000, leaseMs: 10_000, token: DIGITS + call.ops[0]!.x });
    expect(caller.grant!.fence).toBe(1_700_000_000_000_001_000n);
    expect(caller.grant!.wantedMs).toBeUndefined();
    expect(await redis.sent()).toEqual([]);
    expect(redis.clock.pendingTimers).toBe(0);
  });

  it('puts what is asked in one turn into calls of at most 32', async () => {
    for (let i = 0; i < 70; i++) wait({ key: `k${i}` });
    const calls = await redis.sent();
    expect(calls.map(({ ops }) => ops.length)).toEqual(kind.writesAtOnce ? [1, 32, 32, 5] : [32, 32, 6]);
    const salts = calls.flatMap(({ ops }) => ops.map(({ x }) => x));
    expect(new Set(salts).size).toBe(70);
  });

  it('rounds its lease up, and takes the default for none', async () => {
    wait({ leaseMs: 0.5 });
    wait({ leaseMs: 0 });
    wait({ leaseMs: 1500.2 });
    expect((await redis.call()).ops.map(({ y }) => y)).toEqual(['1', '33000', '1501']);
    expect(() => wait({ leaseMs: Infinity })).toThrow(UnsupportedError);
  });

  it('tells its caller that it waits', async () => {
    const { caller } = await queued();
    expect(caller.places).toEqual(['queued']);
    expect(caller.grant).toBeUndefined();
  });

  it('counts a grant by message from when its request was sent', async () => {
    const { caller, salt } = await queued();
    redis.clock.stall(800);
    redis.publish(`g${DIGITS}${salt}lock:a`);
    expect(caller.grant).toMatchObject({ validFrom: 1000, leaseMs: 10_000 });
  });

  it('counts it from the last poke that found it in the queue', async () => {
    const { caller, salt } = await queued();
    await redis.clock.advanceAsync(1200);
    const poke = await redis.call();
    redis.clock.stall(100);
    await poke.answer([0, 8000, TOKEN]);
    redis.publish(`g${DIGITS}${salt}lock:a`);
    expect(poke.ops).toMatchObject([{ op: 'p' }]);
    expect(caller.grant!.validFrom).toBe(poke.at);
  });

  it('takes no evidence from the poke for another one of the same queue', async () => {
    const first = await queued();
    const second = await queued({}, 1);
    await redis.clock.advanceAsync(1200);
    const poke = await redis.call();
    expect(poke.ops[0]!.x).toContain(first.salt);
    await poke.answer([0, 8000, TOKEN]);
    redis.publish(`g${DIGITS}${second.salt}lock:a`);
    expect(second.caller.grant!.validFrom).toBe(1000);
  });

  it('is granted by a message that is quicker than the answer', async () => {
    const caller = wait();
    const call = await redis.call();
    redis.publish(`g${DIGITS}${call.ops[0]!.x}lock:a`);
    expect(caller.grant).toMatchObject({ validFrom: 1000 });
    await call.answer([0, 9000, TOKEN]);
    expect(caller.places).toEqual([]);
  });

  it('asks whether the lock is still there when half of the lease may be over', async () => {
    const { caller, salt } = await queued();
    redis.clock.stall(5001);
    redis.publish(`g${DIGITS}${salt}lock:a`);
    expect(caller.grant).toBeUndefined();
    const renewal = await redis.call();
    expect(renewal).toMatchObject({ script: 'renew', ops: [{ key: 'lock:a', x: DIGITS + salt, y: '10000' }] });
    await renewal.answer(1);
    expect(caller.grant).toMatchObject({ validFrom: renewal.at, leaseMs: 10_000 });
  });

  it('asks again, with another salt, when it was not', async () => {
    const { caller, salt } = await queued();
    redis.publish(`c${DIGITS}${salt}lock:a`);
    await (await redis.call()).answer(0);
    const again = await redis.call();
    expect(again.ops).toMatchObject([{ op: 'q' }]);
    expect(again.ops[0]!.x).not.toBe(salt);
    await again.answer(DIGITS);
    expect(caller.grant).toBeDefined();
  });

  it('frees what it could not confirm, before it asks again', async () => {
    const { salt } = await queued();
    redis.publish(`c${DIGITS}${salt}lock:a`);
    await (await redis.call()).fail();
    await redis.clock.advanceAsync(150);
    const again = await redis.call();
    expect(again.ops).toMatchObject([{ op: 'c' }, { op: 'q' }]);
    expect(again.ops[0]!.x).toContain(salt);
  });

  it('does not take the late answer to its request for one to the next', async () => {
    const caller = wait();
    const call = await redis.call();
    const [{ x: salt }] = call.ops as [SentOp];
    redis.publish(`c${DIGITS}${salt}lock:a`);
    expect(await redis.sent()).toEqual([]);
    await call.answer([0, 9000, TOKEN]);
    const renewal = await redis.call();
    expect(renewal.ops).toMatchObject([{ op: 'n', x: DIGITS + salt }]);
    await renewal.answer(1);
    expect(caller.grant).toMatchObject({ token: DIGITS + salt, validFrom: renewal.at });
  });

  it('asks again with another salt when nobody knows what came of a request, after taking that back', async () => {
    const caller = wait();
    const first = await redis.call();
    await first.fail();
    expect(await redis.sent()).toEqual([]);
    await redis.clock.advanceAsync(150);
    const second = await redis.call();
    expect(second.ops).toMatchObject([{ op: 'c', y: '' }, { op: 'q' }]);
    const [cancel, again] = second.ops as [SentOp, SentOp];
    expect(cancel.x).toMatch(new RegExp(`^x[0-9a-f]{9}${first.ops[0]!.x}10000$`));
    expect(again.x).not.toBe(first.ops[0]!.x);
    await second.answer(2, DIGITS);
    expect(caller.grant).toMatchObject({ token: DIGITS + again.x, validFrom: second.at });
  });

  it('takes the grant of a request whose answer was lost', async () => {
    const caller = wait();
    const call = await redis.call();
    await call.fail();
    redis.publish(`g${DIGITS}${call.ops[0]!.x}lock:a`);
    expect(caller.grant).toMatchObject({ validFrom: 1000 });
    await redis.clock.advanceAsync(1000);
    expect(await redis.sent()).toEqual([]);
  });

  it('keeps the order of those that ask again', async () => {
    for (let i = 0; i < 5; i++) wait({ leaseMs: 1000 + i });
    await (await redis.call()).fail();
    await redis.clock.advanceAsync(150);
    const again = await redis.call();
    expect(again.ops.filter(({ op }) => op === 'q').map(({ y }) => Number(y))).toEqual([1000, 1001, 1002, 1003, 1004]);
  });

  it('waits for a connection, and asks as soon as there is one', async () => {
    redis.listener.down(lost());
    const caller = wait();
    await redis.clock.advanceAsync(10_000);
    expect(await redis.sent()).toEqual([]);
    redis.listener.up();
    await (await redis.call()).answer(DIGITS);
    expect(caller.grant).toBeDefined();
  });

  it('tells at the deadline what was in the way', async () => {
    const error = lost();
    redis.listener.down(error);
    const caller = wait({ deadline: redis.clock.now() + 300 });
    await redis.clock.advanceAsync(300);
    expect(caller.error).toBe(error);
    redis.listener.up();
    expect(await redis.sent()).toEqual([]);
  });

  it('has timed out at its deadline in the queue, and leaves it', async () => {
    const { caller, salt } = await queued({ deadline: redis.clock.now() + 300 });
    await redis.clock.advanceAsync(299);
    expect(caller.error).toBeUndefined();
    await redis.clock.advanceAsync(1);
    expect(caller.error).toBeInstanceOf(AcquireTimeoutError);
    expect(caller.error).toMatchObject({ key: 'a', server: 'here:6379' });
    const cancel = await redis.call();
    expect(cancel.ops).toMatchObject([{ op: 'c' }]);
    expect(cancel.ops[0]!.x).toContain(salt);
    await cancel.answer(1);
    await redis.clock.advanceAsync(60_000);
    expect(await redis.sent()).toEqual([]);
  });

  it('is unavailable at its deadline when nothing was answered, and takes back what it asked for', async () => {
    const caller = wait({ deadline: redis.clock.now() + 300 });
    const call = await redis.call();
    await redis.clock.advanceAsync(300);
    expect(caller.error).toBeInstanceOf(LockUnavailableError);
    expect(caller.error).toMatchObject({ message: 'no answer in time', key: 'a', server: 'here:6379' });
    expect((await redis.call()).ops).toMatchObject([{ op: 'c' }]);
    await call.answer(DIGITS);
    expect(caller.grant).toBeUndefined();
  });

  it('reads what has arrived before it gives up at its deadline', async () => {
    const caller = wait({ deadline: redis.clock.now() + 300 });
    const call = await redis.call();
    redis.clock.stall(300);
    // The message is in the socket when the process goes on.
    redis.clock.afterPoll = (fn) => {
      redis.publish(`g${DIGITS}${call.ops[0]!.x}lock:a`);
      fn();
    };
    await redis.clock.advanceAsync(0);
    expect(caller.error).toBeUndefined();
    expect(caller.grant).toBeDefined();
  });

  it('gets one try when there is no time to wait', async () => {
    const now = redis.clock.now();
    const [free, taken] = [wait({ key: 'free', deadline: now }), wait({ key: 'taken', deadline: now })];
    const call = await redis.call();
    expect(call.ops.map(({ op }) => op)).toEqual(['t', 't']);
    await call.answer(DIGITS, 500);
    expect(free.grant).toBeDefined();
    expect(taken.error).toBeInstanceOf(AcquireTimeoutError);
    expect(taken.error).toMatchObject({ key: 'taken', server: 'here:6379' });
  });

  it('takes such a try back when nobody knows what came of it', async () => {
    const caller = wait({ deadline: redis.clock.now() });
    await (await redis.call()).fail();
    expect(caller.error).toBeInstanceOf(LockUnavailableError);
    expect((await redis.call()).ops).toMatchObject([{ op: 'c' }]);
  });

  it('is over after the request timeout where such a try needs several requests', async () => {
    redis.withSingles = true;
    const caller = wait({ deadline: redis.clock.now() });
    const first = await redis.call();
    redis.clock.advance(3_000);
    await first.reply(null);
    const second = await redis.call();
    redis.clock.advance(1_999);
    expect(caller.error).toBeUndefined();
    redis.clock.advance(1);
    expect(caller.error).toBeInstanceOf(LockUnavailableError);
    expect((await redis.call()).ops).toMatchObject([{ op: 'c' }]);
    await second.answer(DIGITS);
    expect(caller.grant).toBeUndefined();
  });

  it('whose caller leaves in the same turn is not sent at all, or taken back at once', async () => {
    const caller = wait();
    caller.cancel();
    if (kind.writesAtOnce) await (await redis.call()).answer(1);
    expect(await redis.sent()).toEqual([]);
    expect(redis.clock.pendingTimers).toBe(0);
  });

  it.each(['an answer', 'a message'])('frees a grant that comes by %s although its caller has left', async (by) => {
    const caller = wait();
    const call = await redis.call();
    caller.cancel();
    const cancel = await redis.call();
    expect(cancel.ops).toMatchObject([{ op: 'c' }]);
    if (by === 'an answer') {
      await call.answer(DIGITS);
      await cancel.answer(2);
      return;
    }
    redis.publish(`g${DIGITS}${call.ops[0]!.x}lock:a`);
    expect((await redis.call()).ops).toMatchObject([{ op: 'r', x: DIGITS + call.ops[0]!.x, y: '0' }]);
    expect(caller.grant).toBeUndefined();
    expect(await backend.stats()).toMatchObject([{ orphans: 1 }]);
  });

  it.each([
    ['has been granted', DIGITS],
    ['has a place', [0, 9000, TOKEN]],
  ])('takes back a request that %s after its withdrawal has found nothing', async (_what, reply) => {
    const caller = wait();
    const call = await redis.call();
    caller.cancel();
    const cancel = await redis.call();
    // As where Redis lacks the script for the request, and somebody else has loaded it before the withdrawal comes.
    await cancel.answer(0);
    await call.answer(reply);
    const again = await redis.call();
    expect(again.ops).toEqual(cancel.ops);
    await again.answer(2);
    expect(await redis.sent()).toEqual([]);
    expect(caller.grant).toBeUndefined();
  });

  it('repeats that it has left until that is answered', async () => {
    const { caller } = await queued();
    caller.cancel();
    const first = await redis.call();
    await first.fail();
    await redis.clock.advanceAsync(150);
    const second = await redis.call();
    expect(second.ops).toEqual(first.ops);
    redis.listener.down(lost());
    await second.fail();
    await redis.clock.advanceAsync(60_000);
    expect(await redis.sent()).toEqual([]);
    redis.listener.up();
    const third = await redis.call();
    expect(third.ops).toEqual(first.ops);
    await third.answer(0);
    await redis.clock.advanceAsync(60_000);
    expect(await redis.sent()).toEqual([]);
  });

  it('whose caller leaves while it is alone on its way is taken back when it has been granted', async () => {
    redis.withSingles = true;
    const caller = wait();
    const call = await redis.call();
    caller.cancel();
    expect(await redis.sent()).toEqual([]);
    await call.reply(DIGITS);
    const { ops } = await redis.call();
    const member = expect.stringContaining(call.ops[0]!.x) as unknown;
    for (const op of ops) expect(op).toMatchObject({ op: 'c', x: member });
    expect(caller.grant).toBeUndefined();
  });

  it.each([
    ['WRONGTYPE Operation against a key holding the wrong kind of value', LockKeyError],
    ['NOPERM this user has no permissions to access one of the keys used as arguments', ConfigError],
  ])('fails with the error that stands for %s', async (text, type) => {
    const [caller, other] = [wait(), wait({ key: 'b' })];
    await (await redis.call()).answer(['E', text], DIGITS);
    expect(caller.error).toBeInstanceOf(type);
    expect(other.grant).toBeDefined();
  });

  it('tries again where Redis is only short of memory, and says so', async () => {
    const caller = wait();
    await (await redis.call()).answer(['E', "OOM command not allowed when used memory > 'maxmemory'."]);
    expect(caller.error).toBeUndefined();
    expect(redis.events.map(({ state }) => state)).toEqual(['up', 'degraded']);
    await redis.clock.advanceAsync(150);
    await (await redis.call()).answer(0, DIGITS);
    expect(caller.grant).toBeDefined();
  });

  it('has the connections to the server of its key replaced where that is no master any more', async () => {
    wait();
    await (await redis.call()).answer(['E', "READONLY You can't write against a read only replica."]);
    expect(redis.kicked).toEqual(['lock:a']);
  });

  it('refuses another limit than the semaphore has', async () => {
    const caller = wait({ kind: 'sem', limit: 2 });
    const call = await redis.call();
    expect(call.script).toBe('semaphore');
    await call.answer(['L', 3]);
    expect(caller.error).toBeInstanceOf(LimitMismatchError);
    const message = 'the semaphore has a limit of 3, not 2, for as long as anybody holds it or waits for it';
    expect(caller.error).toMatchObject({ key: 'a', server: 'here:6379', message });
  });

  it('of a try refuses another limit than the semaphore has', async () => {
    const one = backend.tryAcquire(request(redis.clock, { kind: 'sem', limit: 2 })).catch((error: unknown) => error);
    await (await redis.call()).answer(['L', 3]);
    expect(await one).toBeInstanceOf(LimitMismatchError);
    const message = expect.stringContaining('a limit of 3, not 2') as unknown;
    expect(await one).toMatchObject({ key: 'a', server: 'here:6379', message });
  });

  it('fails where the script answers something else', async () => {
    const caller = wait({ deadline: redis.clock.now() });
    await (await redis.call()).answer();
    expect(caller.error).toMatchObject({ code: 'PROTOCOL' });
  });

  it('that was granted is not granted by anything else', async () => {
    const { caller, salt } = await queued();
    redis.publish(`g${DIGITS}${salt}lock:a`);
    redis.publish(`g${DIGITS}${salt}lock:a`);
    redis.publish(`c${DIGITS}${salt}lock:a`);
    expect(caller.grant).toBeDefined();
    expect(await redis.sent()).toEqual([]);
  });

  it('ignores messages that are none', async () => {
    const { caller, salt } = await queued();
    for (const text of ['', 'x', '!', `g${salt}lock:a`, `z${DIGITS}${salt}lock:a`, `g${DIGITS}${salt}`])
      redis.publish(text);
    expect(await redis.sent()).toEqual([]);
    expect(caller.grant).toBeUndefined();
  });

  it('of a try: granted, busy, failed', async () => {
    const tries = ['a', 'b', 'c'].map((key) => backend.tryAcquire(request(redis.clock, { key })));
    const failure = tries[2]!.catch((error: unknown) => error);
    const call = await redis.call();
    redis.clock.stall(100);
    await call.answer(DIGITS, -1, ['E', 'WRONGTYPE x']);
    expect(await tries[0]).toMatchObject({ validFrom: 1000, token: DIGITS + call.ops[0]!.x });
    expect(await tries[1]).toBeNull();
    expect(await failure).toBeInstanceOf(LockKeyError);
  });

  it('of a try of which nobody knows what came is taken back', async () => {
    const one = backend.tryAcquire(request(redis.clock)).catch((error: unknown) => error);
    const call = await redis.call();
    await call.fail();
    expect(await one).toBeInstanceOf(LockUnavailableError);
    const cancel = await redis.call();
    expect(cancel.ops).toMatchObject([{ op: 'c' }]);
    expect(cancel.ops[0]!.x).toContain(call.ops[0]!.x);
  });

  it('of a try takes no longer than the request timeout, however many requests it needs', async () => {
    redis.withSingles = true;
    const one = backend.tryAcquire(request(redis.clock)).catch((error: unknown) => error);
    const first = await redis.call();
    redis.clock.advance(3_000);
    await first.reply(null);
    const second = await redis.call();
    redis.clock.advance(2_000);
    expect(await one).toBeInstanceOf(LockUnavailableError);
    const cancel = await redis.call();
    expect(cancel.ops).toMatchObject([{ op: 'c', x: expect.stringContaining(second.ops[0]!.x) }]);
    await cancel.answer(0);
    // The cancel has overtaken it, and is sent once more.
    await second.answer(DIGITS);
    expect((await redis.call()).ops).toMatchObject([{ op: 'c', x: cancel.ops[0]!.x }]);
    expect(await one).toMatchObject({ message: 'no answer in time', key: 'a', server: 'here:6379' });
  });

  it('of a try that was busy, but too late, has nothing to take back', async () => {
    const one = backend.tryAcquire(request(redis.clock)).catch((error: unknown) => error);
    const call = await redis.call();
    redis.clock.advance(5_000);
    expect(await one).toBeInstanceOf(LockUnavailableError);
    await (await redis.call()).answer(0);
    await call.answer(300);
    expect(await redis.sent()).toEqual([]);
  });

  it('of a try is answered once: by what arrives while its time is over', async () => {
    const one = backend.tryAcquire(request(redis.clock));
    const call = await redis.call();
    let judge!: () => void;
    redis.clock.afterPoll = (fn) => (judge = fn);
    redis.clock.advance(5_000);
    await call.answer(DIGITS);
    judge();
    expect(await one).not.toBeNull();
    expect(await redis.sent()).toEqual([]);
  });

  it('of a try that waits behind another one is not sent when its time is over', async () => {
    redis.withSingles = true;
    const one = backend.tryAcquire(request(redis.clock)).catch((error: unknown) => error);
    const first = await redis.call();
    const two = backend.tryAcquire(request(redis.clock)).catch((error: unknown) => error);
    expect(await redis.sent()).toEqual([]);
    redis.clock.advance(5_000);
    expect(await one).toBeInstanceOf(LockUnavailableError);
    expect(await two).toBeInstanceOf(LockUnavailableError);
    await first.fail();
    expect((await redis.call()).ops).toMatchObject([{ op: 'c', x: expect.stringContaining(first.ops[0]!.x) }]);
  });

  it('of a key whose holder uses something else waits all the same', async () => {
    const caller = wait();
    await (await redis.call()).answer([0, -1, FOREIGN]);
    expect(caller.places).toEqual(['queued']);
  });
});
