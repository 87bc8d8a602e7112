import { beforeEach, describe, expect, it } from '@jest/globals';
import { EngineHarness, lock, type Peer, sem, START, tokenOf } from '../../support/engine-harness.js';

/** Spec 4.5, row by row; of the semaphore all slots but one are taken for good, so that both kinds have one slot left. */
describe.each([
  ['a lock', lock('k'), 0],
  ['a semaphore', sem('k', 3), 2],
] as const)('two-phase on %s (4.5)', (_name, target, taken) => {
  let h: EngineHarness;
  let a: Peer;
  let b: Peer;
  let c: Peer;

  beforeEach(() => {
    h = new EngineHarness({ maxWaiters: 2 });
    const others = h.peer('others');
    for (let i = 0; i < taken; i++) others.acquire(target, { leaseMs: Infinity });
    [a, b, c] = [h.peer('a'), h.peer('b'), h.peer('c')];
  });

  const isFree = (): boolean => c.acquire(target).answer?.s === 'granted';
  const LEASE = 4_000;

  it('NONE, e with a free slot: acquired → GRANTED', () => {
    expect(a.enqueue(target, LEASE).answer).toEqual({ s: 'acquired', token: expect.any(String), leaseMs: LEASE });
    expect(isFree()).toBe(false);
    expect(a.enqueue(target).answer).toEqual({ s: 'already_enqueued' });
  });

  it('NONE, e while busy: queued → QUEUED', () => {
    b.acquire(target);
    expect(a.enqueue(target, LEASE).answer).toEqual({ s: 'queued' });
    expect(a.enqueue(target).answer).toEqual({ s: 'already_enqueued' });
  });

  it('NONE, e refused by limits: NONE', () => {
    b.acquire(target);
    expect(b.acquire(target, { waitMs: Infinity }).answer).toBeUndefined();
    b.enqueue(target);
    expect(a.enqueue(target).answer).toEqual({ s: 'max_waiters' });
    expect(a.enqueue(sem('k', 9)).answer).toEqual(target.kind === 'sem' ? { s: 'limit_mismatch' } : expect.anything());
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
  });

  it.each([0, LEASE])('QUEUED, e: already_enqueued, and stays where it is (%d)', (leaseMs) => {
    const token = tokenOf(b.acquire(target));
    a.enqueue(target, LEASE);
    const behind = c.acquire(target, { waitMs: Infinity });
    expect(a.enqueue(target, leaseMs).answer).toEqual({ s: 'already_enqueued' });
    b.release(target, token);
    expect(behind.answer).toBeUndefined();
    expect(a.wait(target, 0).answer).toMatchObject({ s: 'granted', leaseMs: LEASE });
  });

  it('GRANTED, e: already_enqueued, and stays granted', () => {
    const token = tokenOf(a.enqueue(target, LEASE));
    expect(a.enqueue(target, 9_000).answer).toEqual({ s: 'already_enqueued' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'granted', token, leaseMs: LEASE });
  });

  it('GRANTED, lease over and not swept, e: already_enqueued', () => {
    a.enqueue(target, 100);
    h.advance(100);
    expect(a.enqueue(target).answer).toEqual({ s: 'already_enqueued' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'lease_expired' });
  });

  it('NONE, w: not_enqueued', () => {
    expect(a.wait(target, 5_000).answer).toEqual({ s: 'not_enqueued' });
    b.acquire(target);
    expect(a.wait(target, 5_000).answer).toEqual({ s: 'not_enqueued' });
    // Another session's state is not one's own.
    b.enqueue(target);
    expect(a.wait(target, 5_000).answer).toEqual({ s: 'not_enqueued' });
  });

  it.each([0, 5_000])('GRANTED, w of %d ms: granted, the lease starts again → NONE', (waitMs) => {
    const token = tokenOf(a.enqueue(target, LEASE));
    h.advance(3_000);
    expect(a.wait(target, waitMs).answer).toEqual({ s: 'granted', token, leaseMs: LEASE });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
    h.advance(LEASE - 1);
    expect(a.renew(target, token)).toMatchObject({ s: 'renewed' });
  });

  it('GRANTED, w: the lease that starts again is that of e, not one set by a renewal', () => {
    const token = tokenOf(a.enqueue(target, LEASE));
    a.renew(target, token, 60_000);
    expect(a.wait(target, 0).answer).toEqual({ s: 'granted', token, leaseMs: LEASE });
    h.advance(LEASE);
    expect(a.renew(target, token)).toEqual({ s: 'error' });
  });

  it('GRANTED, lease over and not swept, w: lease_expired, the slot goes on → NONE', () => {
    a.enqueue(target, 100);
    const next = b.acquire(target, { waitMs: Infinity });
    h.advance(100);
    expect(next.answer).toBeUndefined();
    expect(a.wait(target, 5_000).answer).toEqual({ s: 'lease_expired' });
    expect(next.answer).toMatchObject({ s: 'granted' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
    expect(a.enqueue(target).answer).toEqual({ s: 'queued' });
  });

  it('QUEUED, w, granted in time: granted, the lease starts at the grant → NONE', () => {
    const token = tokenOf(b.acquire(target));
    a.enqueue(target, LEASE);
    const waiting = a.wait(target, 5_000);
    h.advance(3_000);
    b.release(target, token);
    expect(waiting.answer).toEqual({ s: 'granted', token: expect.any(String), leaseMs: LEASE });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
    h.advance(LEASE - 1);
    expect(a.renew(target, tokenOf(waiting))).toMatchObject({ s: 'renewed' });
  });

  it('QUEUED, w, time over: timeout, out of the queue → NONE', () => {
    const token = tokenOf(b.acquire(target));
    a.enqueue(target, LEASE);
    const waiting = a.wait(target, 5_000);
    h.advance(4_999);
    expect(waiting.answer).toBeUndefined();
    h.advance(1);
    expect(waiting.answer).toEqual({ s: 'timeout' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
    b.release(target, token);
    expect(isFree()).toBe(true);
  });

  it('QUEUED, w of no time: timeout at once, out of the queue → NONE', () => {
    const token = tokenOf(b.acquire(target));
    a.enqueue(target, LEASE);
    expect(a.wait(target, 0).answer).toEqual({ s: 'timeout' });
    expect(a.enqueue(target).answer).toEqual({ s: 'queued' });
    a.wait(target, 0);
    b.release(target, token);
    expect(isFree()).toBe(true);
  });

  it('QUEUED stays so without end while nobody waits', () => {
    const token = tokenOf(b.acquire(target, { leaseMs: Infinity }));
    a.enqueue(target, LEASE);
    h.advance(1e9);
    b.release(target, token);
    expect(a.wait(target, 0).answer).toMatchObject({ s: 'granted' });
  });

  it('QUEUED, a slot becomes free: GRANTED, and the lease runs already', () => {
    const token = tokenOf(b.acquire(target));
    a.enqueue(target, 3_000);
    b.release(target, token);
    expect(isFree()).toBe(false);
    h.advance(2_999);
    expect(a.enqueue(target).answer).toEqual({ s: 'already_enqueued' });
    const granted = a.wait(target, 0);
    expect(granted.answer).toMatchObject({ s: 'granted', leaseMs: 3_000 });
    h.advance(2_999);
    expect(a.release(target, tokenOf(granted))).toEqual({ s: 'ok' });
  });

  it('QUEUED, granted, the lease over before w and not swept: lease_expired → NONE', () => {
    const token = tokenOf(b.acquire(target));
    a.enqueue(target, 100);
    const next = b.acquire(target, { waitMs: Infinity });
    b.release(target, token);
    h.advance(100);
    expect(a.wait(target, 5_000).answer).toEqual({ s: 'lease_expired' });
    expect(next.answer).toMatchObject({ s: 'granted' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
  });

  it('GRANTED, swept: NONE', () => {
    a.enqueue(target, 100);
    h.advanceTo(1_000);
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
    expect(a.enqueue(target).answer).toMatchObject({ s: 'acquired' });
  });

  it('GRANTED, evicted by a newcomer: NONE', () => {
    a.enqueue(target, 100);
    h.advance(100);
    expect(b.acquire(target).answer).toMatchObject({ s: 'granted' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
    expect(a.enqueue(target).answer).toEqual({ s: 'queued' });
  });

  it('GRANTED, evicted by a late renewal: NONE', () => {
    const token = tokenOf(a.enqueue(target, 100));
    h.advance(100);
    expect(b.renew(target, token)).toEqual({ s: 'error' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
  });

  it.each(['oneself', 'anyone'])('GRANTED, r by %s: ok → NONE', (who) => {
    const token = tokenOf(a.enqueue(target, LEASE));
    expect((who === 'anyone' ? b : a).release(target, token)).toEqual({ s: 'ok' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
    expect(a.enqueue(target).answer).toMatchObject({ s: 'acquired' });
  });

  it('GRANTED after QUEUED, r by anyone: NONE', () => {
    const token = tokenOf(b.acquire(target));
    a.enqueue(target, LEASE);
    b.release(target, token);
    // The token of a grant that was not claimed has been told to nobody.
    const [hold] = a.session.holds;
    expect(b.release(target, hold!.token)).toEqual({ s: 'ok' });
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
  });

  it('any, disconnect: NONE for the next session, its slot and its place are free', () => {
    a.enqueue(target, LEASE);
    b.enqueue(target, LEASE);
    b.close();
    a.close();
    expect(isFree()).toBe(true);
  });

  it('an acquire makes no two-phase state: e behind it queues', () => {
    const token = tokenOf(a.acquire(target));
    expect(a.wait(target, 0).answer).toEqual({ s: 'not_enqueued' });
    expect(a.enqueue(target, LEASE).answer).toEqual({ s: 'queued' });
    a.release(target, token);
    expect(a.wait(target, 0).answer).toMatchObject({ s: 'granted', leaseMs: LEASE });
  });

  it('after a claimed grant another e is allowed', () => {
    const token = tokenOf(a.enqueue(target, LEASE));
    a.wait(target, 0);
    expect(a.enqueue(target, LEASE).answer).toEqual({ s: 'queued' });
    a.release(target, token);
    expect(a.wait(target, 0).answer).toMatchObject({ s: 'granted' });
  });

  it('a release of another hold of the session leaves the two-phase state alone', () => {
    const token = tokenOf(a.acquire(target));
    a.enqueue(target, LEASE);
    const b1 = b.acquire(target, { waitMs: Infinity });
    a.release(target, token);
    expect(b1.answer).toBeUndefined();
    expect(a.wait(target, 0).answer).toMatchObject({ s: 'granted' });
  });

  it('a second w while the first waits is an error, and changes nothing', () => {
    const token = tokenOf(b.acquire(target));
    a.enqueue(target, LEASE);
    const first = a.wait(target, 5_000);
    expect(a.wait(target, 5_000).answer).toEqual({ s: 'error' });
    b.release(target, token);
    expect(first.answer).toMatchObject({ s: 'granted' });
  });

  it('the time of w counts from w, and what is left of it is no matter afterwards', () => {
    b.acquire(target, { leaseMs: 2_500 });
    a.enqueue(target, LEASE);
    h.advance(2_000);
    const waiting = a.wait(target, 1_000);
    expect(h.engine.nextWake()).toBe(START + 2_500);
    h.advanceTo(3_000);
    expect(waiting.answer).toMatchObject({ s: 'granted' });
    h.advance(3_999);
    expect(a.release(target, tokenOf(waiting))).toEqual({ s: 'ok' });
  });

  it('keeps its place when an acquire of the same session is granted before it', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    const token = tokenOf(b.acquire(lock('k')));
    const waiting = a.acquire(lock('k'), { waitMs: 60_000 });
    expect(a.enqueue(lock('k')).answer).toEqual({ s: 'queued' });
    b.release(lock('k'), token);
    expect(waiting.answer).toMatchObject({ s: 'granted' });
    const second = a.wait(lock('k'), 60_000);
    expect(second.answer).toBeUndefined();
    a.release(lock('k'), tokenOf(waiting));
    expect(second.answer).toMatchObject({ s: 'granted' });
  });
});
