import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisBackend } from '../../../../lib/backends/redis/redis.js';
import { lockKeys } from '../../../../lib/backends/redis/scripts/companion-keys.js';
import { ConfigError } from '../../../../lib/common/errors.js';
import { Caller, DIGITS, lost, request, ScriptedRedis, type SentCall } from './scripted-redis.js';

const { tag } = lockKeys('lock:a', true);
const CHANNEL = new RegExp(`^dfl:\\{${tag}\\}s[0-9a-f]{9}$`);
const TOKEN = '1700000000000000aaaaaaaaaa000001';

describe('in a cluster with sharded channels, an acquire', () => {
  let redis: ScriptedRedis;
  let backend: RedisBackend;
  beforeEach(async () => {
    redis = new ScriptedRedis({ isCluster: true, isSharded: true });
    backend = await redis.backend();
  });

  const wait = (change = {}): Caller => Caller.wait(backend, redis.clock, change);
  /** A caller in the queue. */
  const queued = async (change = {}): Promise<Caller> => {
    const caller = wait(change);
    await (await redis.call()).answer(500);
    await redis.subscriptions.shift()!.done();
    await (await redis.call()).answer([0, 9000, TOKEN]);
    return caller;
  };

  it('subscribes nothing as long as the lock is free', async () => {
    const caller = wait();
    const call = await redis.call();
    expect(call.ops).toMatchObject([{ op: 't' }]);
    await call.answer(DIGITS);
    expect(caller.grant).toMatchObject({ validFrom: 1000 });
    expect(redis.subscriptions).toEqual([]);
  });

  it('enters the queue when the channel of its slot is subscribed, and not before', async () => {
    const caller = wait();
    const first = await redis.call();
    await first.answer(500);
    expect(await redis.sent()).toEqual([]);
    expect(redis.subscriptions.map(({ channel }) => channel)).toEqual([expect.stringMatching(CHANNEL)]);
    await redis.subscriptions[0]!.done();
    const second = await redis.call();
    expect(second.ops).toMatchObject([{ op: 'q' }]);
    expect(second.ops[0]!.x).not.toBe(first.ops[0]!.x);
    await second.answer([0, 9000, TOKEN]);
    expect(caller.places).toEqual(['queued']);
  });

  it('is not overtaken, before it is in the queue, by those of its key that come later', async () => {
    wait({ leaseMs: 1000 });
    const first = await redis.call();
    wait({ leaseMs: 1001 });
    const left = wait({ leaseMs: 1002 });
    expect(await redis.sent()).toEqual([]);
    await first.answer(500);
    left.cancel();
    wait({ leaseMs: 1003 });
    expect(await redis.sent()).toEqual([]);
    await redis.subscriptions.shift()!.done();
    const entering = (await redis.sent()).flatMap(({ ops }) => ops);
    expect(entering.map(({ op, y }) => op + y)).toEqual(['q1000', 'q1001', 'q1003']);
  });

  it.each([
    ['has the lock', (call: SentCall) => call.answer(DIGITS)],
    ['is refused', (call: SentCall) => call.answer(['E', 'WRONGTYPE Operation against a key'])],
    ['does not know what came of it', (call: SentCall) => call.fail()],
  ])('lets the next of its key try when it %s', async (_what, end) => {
    wait({ leaseMs: 1000 });
    const first = await redis.call();
    wait({ leaseMs: 1001 });
    wait({ leaseMs: 1002 });
    await end(first);
    const next = await redis.call();
    expect(next.ops).toMatchObject([{ op: 't', y: '1001' }]);
    await next.answer(500);
    await redis.subscriptions.shift()!.done();
    const entering = (await redis.sent()).flatMap(({ ops }) => ops);
    expect(entering.map(({ op, y }) => op + y)).toEqual(['q1001', 'q1002']);
  });

  it('that leaves lets the next of its key try, and at the close nobody does', async () => {
    const first = wait({ leaseMs: 1000 });
    await redis.call();
    wait({ leaseMs: 1001 });
    first.cancel();
    const ops = (await redis.sent()).flatMap((call) => call.ops);
    expect(ops.map(({ op }) => op)).toEqual(['c', 't']);
    wait({ leaseMs: 1002 });
    void backend.close(0);
    expect((await redis.sent()).flatMap((call) => call.ops.map(({ op }) => op))).toEqual(['c']);
  });

  it('enters at once while others of this process wait in that slot, and for a while afterwards', async () => {
    const caller = await queued();
    wait();
    const second = await redis.call();
    expect(second.ops).toMatchObject([{ op: 'q' }]);
    await second.answer(DIGITS);
    caller.cancel();
    await (await redis.call()).answer(1);
    await redis.clock.advanceAsync(9000);
    wait();
    expect((await redis.call()).ops).toMatchObject([{ op: 'q' }]);
    expect(redis.unsubscribed).toEqual([]);
  });

  it('has the channel given up when nobody has waited there for a while', async () => {
    (await queued()).cancel();
    await (await redis.call()).answer(1);
    await redis.clock.advanceAsync(10_000);
    expect(redis.unsubscribed).toEqual([expect.stringMatching(CHANNEL)]);
    wait();
    expect((await redis.call()).ops).toMatchObject([{ op: 't' }]);
    expect(redis.clock.nextDue).toBeGreaterThan(redis.clock.now() + 10_000);
  });

  it('keeps the channel for as long as somebody waits there, and ten seconds longer', async () => {
    const first = await queued();
    const second = wait();
    await (await redis.call()).answer([1, 9000, TOKEN]);
    first.cancel();
    await (await redis.call()).answer(1);
    await redis.clock.advanceAsync(15_000);
    expect(redis.unsubscribed).toEqual([]);
    second.cancel();
    await redis.clock.advanceAsync(9_999);
    expect(redis.unsubscribed).toEqual([]);
    await redis.clock.advanceAsync(1);
    expect(redis.unsubscribed).toEqual([expect.stringMatching(CHANNEL)]);
  });

  it('gives channels up one after the other', async () => {
    const a = await queued();
    a.cancel();
    await (await redis.call()).answer(1);
    await redis.clock.advanceAsync(4_000);
    const b = await queued({ key: 'b' });
    b.cancel();
    await (await redis.call()).answer(1);
    await redis.clock.advanceAsync(6_000);
    expect(redis.unsubscribed).toHaveLength(1);
    await redis.clock.advanceAsync(3_999);
    expect(redis.unsubscribed).toHaveLength(1);
    await redis.clock.advanceAsync(1);
    expect(redis.unsubscribed).toHaveLength(2);
  });

  it('shares the subscription with those that join meanwhile, in order', async () => {
    const [one, other] = ['{a}1', '{a}2'];
    wait({ leaseMs: 1000, key: one });
    wait({ leaseMs: 1001, key: other });
    await (await redis.call()).answer(500, 500);
    wait({ leaseMs: 1002, key: one });
    wait({ leaseMs: 1003, key: other });
    expect(await redis.sent()).toEqual([]);
    expect(redis.subscriptions).toHaveLength(1);
    await redis.subscriptions[0]!.done();
    expect((await redis.call()).ops.map(({ y }) => y)).toEqual(['1000', '1002', '1001', '1003']);
  });

  it('asks again where the subscription has failed for now, and fails where it is refused', async () => {
    const caller = wait();
    await (await redis.call()).answer(500);
    await redis.subscriptions.shift()!.fail(lost());
    await redis.clock.advanceAsync(150);
    const again = await redis.call();
    expect(again.ops).toMatchObject([{ op: 't' }]);
    await again.answer(500);
    await redis.subscriptions.shift()!.fail(new ConfigError('NOPERM'));
    expect(caller.error).toBeInstanceOf(ConfigError);
  });

  it('may leave while it waits for the subscription', async () => {
    const caller = wait();
    await (await redis.call()).answer(500);
    caller.cancel();
    await redis.subscriptions[0]!.done();
    expect(await redis.sent()).toEqual([]);
    await redis.clock.advanceAsync(10_000);
    expect(redis.unsubscribed).toHaveLength(1);
    expect(redis.clock.pendingTimers).toBe(0);
  });

  it('shares a call only with ops of its slot', async () => {
    for (const key of ['a', 'b', '{a}1', '{a}2']) wait({ key });
    void backend.tryAcquire(request(redis.clock));
    const calls = await redis.sent();
    const slots = calls.map(({ ops }) => ops.map(({ key }) => key));
    // A single op has taken another way, and comes last.
    expect(slots).toEqual([['lock:a', 'lock:a'], ['lock:{a}1', 'lock:{a}2'], ['lock:b']]);
    expect(calls[0]!.keys[0]).toBe(`dflockd:fence:{${tag}}`);
  });
});
