import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  AcquireTimeoutError,
  LockError,
  LockKeyError,
  LockLostError,
  LockUnavailableError,
} from '../../../../lib/common/errors.js';
import { settlePromises } from '../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from './commands/model-postgres.js';
import { idOf, ModelProcess, namesOf, settle, startWithRival } from './process.js';

const ID = idOf();

let postgres: ModelPostgres;
let us: ModelProcess;
let rival: ModelSession;

beforeEach(async () => {
  ({ postgres, us, rival } = await startWithRival());
});

const done = (): Promise<void> => settle(postgres);
const pass = (ms: number): Promise<void> => postgres.clock.advanceAsync(ms);

async function taken(leaseMs: number, key = 'k') {
  const trying = us.backend.tryAcquire({ ...us.request(key), leaseMs });
  await done();
  return (await trying)!;
}

describe('a lease on Postgres', () => {
  it('is kept by this process: a lock that is not renewed is released at its end, not before', async () => {
    const grant = await taken(1500.5);
    expect(grant.leaseMs).toBe(1501);
    const waiting = us.enqueue();
    await pass(1500);
    expect(waiting.said).toBe('');
    await pass(1);
    await done();
    expect(waiting.said).toBe('granted');
    await expect(us.backend.renew(grant, 1000)).rejects.toBeInstanceOf(LockLostError);
    let outcome: unknown;
    us.backend.release(grant, (is) => (outcome = is));
    expect(outcome).toBe('gone');
  });

  it('lasts as long as its renewals say, longer or shorter', async () => {
    const [first, second] = [await taken(1000, 'a'), await taken(60_000, 'b')];
    await pass(900);
    const proof = us.backend.renew(first, 2000);
    const shorter = us.backend.renew(second, 500);
    await expect(proof).resolves.toEqual({ validFrom: 900, leaseMs: 2000 });
    await expect(shorter).resolves.toEqual({ validFrom: 900, leaseMs: 500 });
    await pass(500);
    await done();
    expect(postgres.held).toEqual([idOf('a')]);
    await pass(1499);
    await done();
    expect(postgres.held).toHaveLength(1);
    await pass(1);
    await done();
    expect(postgres.held).toEqual([]);
  });

  it('has a default, and sets no timer of its own', async () => {
    const before = postgres.clock.pendingTimers;
    const grants = [];
    for (let i = 0; i < 50; i++) grants.push(await taken(0, `key${i}`));
    expect(grants[0]!.leaseMs).toBe(33_000);
    expect(postgres.clock.pendingTimers - before).toBeLessThanOrEqual(2);
  });
});

describe('a renewal on Postgres', () => {
  it('asks nothing of a session that was proven within a third of its time', async () => {
    const grant = await taken(5000);
    await pass(3332);
    await us.backend.renew(grant, 5000);
    expect(namesOf(us.command)).toEqual(['try']);
  });

  it('of any number of locks shares one statement otherwise', async () => {
    const grants = [await taken(50_000, 'a'), await taken(50_000, 'b'), await taken(50_000, 'c')];
    await pass(3334);
    const proofs = Promise.all(
      grants.flatMap((grant) => [us.backend.renew(grant, 5000), us.backend.renew(grant, 5000)]),
    );
    await done();
    await proofs;
    expect(namesOf(us.command).filter((name) => name === 'prove')).toHaveLength(1);
  });

  it('is refused where the session ends, or the lock is released, before it is answered', async () => {
    const [grant, released] = [await taken(50_000), await taken(50_000, 'b')];
    await pass(4000);
    const proofs = [us.backend.renew(grant, 5000), us.backend.renew(released, 5000)];
    us.backend.abandon(released);
    us.command.end(new LockUnavailableError('reset'));
    const [lost, gone] = (await Promise.allSettled(proofs)) as PromiseRejectedResult[];
    expect(lost!.reason).toMatchObject({ code: 'LOCK_LOST', reason: 'disconnected', key: 'k' });
    expect(gone!.reason).toBeInstanceOf(LockLostError);
    await expect(us.backend.renew(grant, 5000)).rejects.toBeInstanceOf(LockLostError);
  });

  it('proves the session that has the lock, whichever it is', async () => {
    postgres.take(rival, ID);
    const waiting = us.enqueue();
    await done();
    postgres.free(rival, ID);
    await done();
    await pass(5001);
    us.command.provenAt = postgres.clock.now();
    const proof = us.backend.renew(waiting.grant!, 5000);
    expect(namesOf(us.waits[0]!)).toEqual(['lock', 'prove']);
    await done();
    await proof;
  });
});

describe('a lock that is kept after its release', () => {
  it('is released when its time is over, once', async () => {
    const grant = await taken(60_000);
    let outcome: unknown;
    us.backend.release(grant, (is) => (outcome = is), 500);
    expect(outcome).toBe('released');
    us.backend.release(grant, (is) => (outcome = is), 500);
    expect(outcome).toBe('gone');
    const waiting = us.enqueue();
    await pass(499);
    await done();
    expect(waiting.said).toBe('');
    await pass(1);
    await done();
    expect(waiting.said).toBe('granted');
  });
});

describe('an owner', () => {
  it('is the same for all locks of a session, and tells its end once', async () => {
    const [one, other] = [await taken(0, 'a'), await taken(0, 'b')];
    expect(one.owner).toBe(other.owner);
    const told: unknown[] = [];
    const stop = one.owner.onLost((reason, error) => told.push(reason, error?.message));
    other.owner.onLost(() => told.push('never'))();
    expect(one.owner.provenUntil()).toBe(10_000);
    us.command.end(new LockUnavailableError('reset'));
    expect(told).toEqual(['disconnected', 'reset']);
    expect(one.owner.provenUntil()).toBe(-Infinity);
    stop();
  });

  it('is told before anybody who waits is answered', async () => {
    const first = await us.held();
    const order: string[] = [];
    first.grant!.owner.onLost(() => order.push('lost'));
    const trying = us.backend.tryAcquire(us.request('b')).catch(() => order.push('refused'));
    await pass(0);
    us.command.end(new LockUnavailableError('reset'));
    await trying;
    expect(order).toEqual(['lost', 'refused']);
  });
});

describe('ids that the server computes', () => {
  beforeEach(async () => {
    us = await ModelProcess.start(postgres, { lockId: 'hashtext' });
  });

  /** Answers what is in flight with an id. */
  const answer = (id: string): void => us.command.answer([[id]]);

  it('are asked for once a key, and keep the callers in order', async () => {
    const callers = [us.enqueue(), us.enqueue(), us.enqueue('other')];
    await pass(0);
    expect(namesOf(us.command)).toEqual(['hashtext', 'hashtext']);
    expect(us.command.inFlight!.values).toEqual(['k']);
    answer('-7');
    answer('8');
    await done();
    expect(callers.map(({ said }) => said)).toEqual(['granted', '', 'granted']);
    expect(postgres.held).toEqual(['-7', '8']);
    callers[0]!.release();
    expect(callers[1]!.said).toBe('granted');
    expect(namesOf(us.command).filter((name) => name === 'hashtext')).toHaveLength(2);
  });

  it('that are not told are an error of the acquire', async () => {
    const [caller, cancelled, late] = [us.enqueue(), us.enqueue(), us.enqueue('k', 100)];
    cancelled.cancel();
    await pass(100);
    expect(late.error?.message).toBe('no answer in time');
    us.command.end(new LockUnavailableError('reset'));
    expect(caller.error).toBeInstanceOf(LockError);
    expect(cancelled.error).toBeUndefined();
  });
});

describe('keys that share an id', () => {
  it('share a queue, are named once while both are in use, and not before', async () => {
    us = await ModelProcess.start(postgres, { lockId: () => 5n });
    (await us.held('a')).release();
    await done();
    const second = await us.held('b');
    expect(us.events.filter(({ state }) => state === 'degraded')).toEqual([]);
    const third = us.enqueue('c');
    expect(third.said).toBe('');
    expect(us.events.at(-1)?.detail).toContain('"b" and "c" have the same lock id');
    second.release();
    expect(third.said).toBe('granted');
    expect(third.grant!.req.key).toBe('c');
  });

  it('wait for each other: the error at the deadline names the one that is held', async () => {
    us = await ModelProcess.start(postgres, { lockId: () => 5n });
    const holder = await us.held('a');
    const [other, same] = [us.enqueue('b', 1000), us.enqueue('a', 1000)];
    await pass(1000);
    expect(other.error).toBeInstanceOf(AcquireTimeoutError);
    expect(other.error!.message).toBe(
      'could not acquire "b" in time: this process holds "a", which has the same lock id (option postgresBackend.lockId)',
    );
    expect(same.error!.message).toBe('could not acquire "a" in time');
    const next = us.enqueue('b');
    holder.release();
    await done();
    expect(next.said).toBe('granted');
    const last = us.enqueue('a', 1000);
    await pass(1000);
    expect(last.error!.message).toContain('this process holds "b"');
  });

  it('of which the option makes something else are refused', async () => {
    us = await ModelProcess.start(postgres, { lockId: () => 5 as never });
    await expect(us.backend.tryAcquire(us.request())).rejects.toBeInstanceOf(LockKeyError);
    const timers = postgres.clock.pendingTimers;
    for (const mode of ['queue', 'ticket'] as const) {
      expect(() => us.enqueue('k', 1000, mode)).toThrow(LockKeyError);
    }
    expect(postgres.clock.pendingTimers).toBe(timers);
    expect(us.backend['core'].tickets.size).toBe(0);
  });
});

it('the queues of keys that are not in use are forgotten now and then, those in use are not', async () => {
  const held = await us.held('held');
  for (let i = 0; i < 9990; i++) us.enqueue(`key${i}`).cancel();
  await done();
  us.enqueue('left').cancel();
  us.enqueue('sent');
  await settlePromises();
  us.command.run();
  const sent = us.enqueue('tried');
  await settlePromises();
  us.command.reply();
  await settlePromises();
  us.command.run();
  sent.cancel();
  for (let i = 0; i < 60; i++) us.enqueue(`another${i}`).cancel();
  const waiting = us.enqueue('held');
  held.release();
  expect(waiting.said).toBe('granted');
  // Its try is under way.
  const next = us.enqueue('tried', 0);
  await done();
  expect(next.said).toBe('granted');
});
