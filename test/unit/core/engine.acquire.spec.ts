import { describe, expect, it } from '@jest/globals';
import { EngineHarness, lock, sem, tokenOf } from '../../support/engine-harness.js';

/** Spec 4.1 and 4.2. */
describe('resources and ownership (4.1)', () => {
  it('keeps locks and semaphores of one name apart', () => {
    const h = new EngineHarness();
    const a = h.peer();
    const token = tokenOf(a.acquire(lock('k')));
    expect(a.acquire(sem('k', 1)).answer).toMatchObject({ s: 'granted' });
    expect(a.acquire(sem('k', 1)).answer).toEqual({ s: 'timeout' });
    expect(a.release(sem('k', 1), token)).toEqual({ s: 'error' });
    expect(a.renew(sem('k', 1), token)).toEqual({ s: 'error' });
    expect(a.release(lock('k'), token)).toEqual({ s: 'ok' });
  });

  it('keeps two-phase states of a lock and of a semaphore of one name apart', () => {
    const a = new EngineHarness().peer();
    expect(a.enqueue(lock('k')).answer).toMatchObject({ s: 'acquired' });
    expect(a.wait(sem('k', 1), 0).answer).toEqual({ s: 'not_enqueued' });
    expect(a.enqueue(sem('k', 1)).answer).toMatchObject({ s: 'acquired' });
  });

  it('knows nothing of a key that nobody has ever asked for', () => {
    const h = new EngineHarness();
    const a = h.peer();
    expect(h.engine.isHeld('lock', 'never')).toBe(false);
    expect(a.release(lock('never'), 'f'.repeat(32))).toEqual({ s: 'error' });
    expect(a.renew(lock('never'), 'f'.repeat(32))).toEqual({ s: 'error' });
    expect(a.wait(lock('never'), 0).answer).toEqual({ s: 'not_enqueued' });
    expect(h.stats()).toMatchObject({ locks: [], idle_locks: [] });
  });

  it('lets any session release and renew by key and token', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    const token = tokenOf(a.acquire(lock('k')));
    expect(b.renew(lock('k'), token, 5_000)).toEqual({ s: 'renewed', leaseMs: 5_000 });
    expect(b.release(lock('k'), token)).toEqual({ s: 'ok' });
    expect(a.release(lock('k'), token)).toEqual({ s: 'error' });
    expect(a.renew(lock('k'), token)).toEqual({ s: 'error' });
  });

  it('does not move a hold to the session that renews it', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    const token = tokenOf(a.acquire(lock('k')));
    b.renew(lock('k'), token);
    a.close();
    expect(h.engine.isHeld('lock', 'k')).toBe(false);
    expect(b.renew(lock('k'), token)).toEqual({ s: 'error' });
  });

  it('compares tokens exactly, and only with those of the same key', () => {
    const h = new EngineHarness();
    const a = h.peer();
    const token = tokenOf(a.acquire(lock('k')));
    const many = tokenOf(a.acquire(sem('m', 2)));
    for (const other of [token.toUpperCase(), ` ${token}`, token.slice(1), '', many]) {
      expect(a.release(lock('k'), other)).toEqual({ s: 'error' });
      expect(a.renew(lock('k'), other)).toEqual({ s: 'error' });
    }
    expect(a.release(sem('m', 2), many.toUpperCase())).toEqual({ s: 'error' });
    expect(a.release(lock('other'), token)).toEqual({ s: 'error' });
    expect(a.release(lock('k'), token)).toEqual({ s: 'ok' });
  });

  it('is not re-entrant: a session waits behind itself', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.acquire(lock('k'));
    const again = a.acquire(lock('k'), { waitMs: 2_000 });
    h.advance(1_999);
    expect(again.answer).toBeUndefined();
    h.advance(1);
    expect(again.answer).toEqual({ s: 'timeout' });
  });

  it('gives a session further slots of a semaphore, each with a token of its own', () => {
    const a = new EngineHarness().peer();
    const tokens = [1, 2, 3].map(() => tokenOf(a.acquire(sem('s', 3))));
    expect(new Set(tokens).size).toBe(3);
    expect(a.acquire(sem('s', 3)).answer).toEqual({ s: 'timeout' });
    expect(a.release(sem('s', 3), tokens[1]!)).toEqual({ s: 'ok' });
    expect(a.acquire(sem('s', 3)).answer).toMatchObject({ s: 'granted' });
  });

  it('takes keys as bytes', () => {
    const a = new EngineHarness().peer();
    for (const key of ['k', 'K', 'k\0', '\xe9', '\xc3\xa9', '\xff\xfe']) {
      expect(a.acquire(lock(key)).answer).toMatchObject({ s: 'granted' });
    }
    expect(a.acquire(lock('\xc3\xa9')).answer).toEqual({ s: 'timeout' });
  });

  it('takes limits of 64 bits', () => {
    const a = new EngineHarness().peer();
    const limit = 2n ** 62n;
    expect(a.acquire(sem('s', limit)).answer).toMatchObject({ s: 'granted' });
    expect(a.acquire(sem('s', limit)).answer).toMatchObject({ s: 'granted' });
    expect(a.acquire(sem('s', limit + 1n)).answer).toEqual({ s: 'limit_mismatch' });
  });
});

describe('the order of the checks of an acquire (4.2)', () => {
  const S = sem('s', 2);

  it('1. refuses another limit before anything else', () => {
    const h = new EngineHarness({ maxLocks: 1, maxWaiters: 1 });
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(S, { leaseMs: 100 });
    a.acquire(S, { leaseMs: 100 });
    b.acquire(S, { waitMs: 60_000 });
    h.advance(150);
    expect(b.acquire(sem('s', 3), { waitMs: 60_000 }).answer).toEqual({ s: 'limit_mismatch' });
    // Refused before the lapsed leases were looked at.
    expect(h.stats().semaphores).toEqual([{ key: 's', limit: 2, holders: 2, waiters: 1 }]);
  });

  it('1. refuses a new key beyond max-locks, before a slot is looked for', () => {
    const h = new EngineHarness({ maxLocks: 2 });
    const a = h.peer();
    a.acquire(lock('k'));
    a.acquire(sem('k', 5));
    expect(a.acquire(lock('new'), { waitMs: 1_000 }).answer).toEqual({ s: 'max_locks' });
    expect(a.acquire(sem('k', 5)).answer).toMatchObject({ s: 'granted' });
    expect(a.acquire(lock('k')).answer).toEqual({ s: 'timeout' });
  });

  it('2. gives the slots of lapsed holders to the heads of the queue, then judges the newcomer', () => {
    const h = new EngineHarness({ maxWaiters: 1 });
    const [a, b, c, d] = [h.peer(), h.peer(), h.peer(), h.peer()];
    a.acquire(lock('k'), { leaseMs: 100 });
    const second = b.acquire(lock('k'), { waitMs: 60_000 });
    h.advance(100);
    expect(second.answer).toBeUndefined();
    // The queue was full; its head is served first, so there is room behind it.
    const third = c.acquire(lock('k'), { waitMs: 60_000 });
    expect(second.answer).toMatchObject({ s: 'granted' });
    expect(third.answer).toBeUndefined();
    expect(d.acquire(lock('k')).answer).toEqual({ s: 'max_waiters' });
  });

  it('2. gives the newcomer a lapsed slot when nobody queues', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    const lapsed = tokenOf(a.acquire(lock('k'), { leaseMs: 100 }));
    h.advance(99);
    expect(b.acquire(lock('k')).answer).toEqual({ s: 'timeout' });
    h.advance(1);
    expect(b.acquire(lock('k')).answer).toMatchObject({ s: 'granted' });
    expect(a.release(lock('k'), lapsed)).toEqual({ s: 'error' });
  });

  it('3. grants a free slot when nobody queues, whatever the timeout', () => {
    const h = new EngineHarness({ maxWaiters: 1 });
    const [a, b] = [h.peer(), h.peer()];
    expect(a.acquire(S, { waitMs: 0 }).answer).toMatchObject({ s: 'granted', leaseMs: 33_000 });
    expect(b.acquire(S, { waitMs: 5_000, leaseMs: 60_000 }).answer).toMatchObject({ s: 'granted', leaseMs: 60_000 });
  });

  it('4. refuses when the queue is full, before the timeout is looked at', () => {
    const h = new EngineHarness({ maxWaiters: 2 });
    const a = h.peer();
    a.acquire(lock('k'));
    expect(a.acquire(lock('k')).answer).toEqual({ s: 'timeout' });
    a.acquire(lock('k'), { waitMs: 5_000 });
    expect(a.acquire(lock('k')).answer).toEqual({ s: 'timeout' });
    h.peer().enqueue(lock('k'));
    expect(a.acquire(lock('k')).answer).toEqual({ s: 'max_waiters' });
    expect(a.acquire(lock('k'), { waitMs: 5_000 }).answer).toEqual({ s: 'max_waiters' });
  });

  it('5. waits until its time is over, and leaves the queue', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    const token = tokenOf(a.acquire(lock('k')));
    const waiting = b.acquire(lock('k'), { waitMs: 1_234.5 });
    h.advance(1_234);
    expect(waiting.answer).toBeUndefined();
    h.advance(0.5);
    expect(waiting.answer).toEqual({ s: 'timeout' });
    a.release(lock('k'), token);
    expect(h.engine.isHeld('lock', 'k')).toBe(false);
  });

  it('5. a timeout that coincides with a grant returns the grant', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(lock('k'), { leaseMs: 500 });
    const waiting = b.acquire(lock('k'), { waitMs: 1_000 });
    h.advance(1_000);
    expect(waiting.answer).toMatchObject({ s: 'granted' });
  });

  it('5. waits for ever if told so', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    const token = tokenOf(a.acquire(lock('k'), { leaseMs: Infinity }));
    const waiting = b.acquire(lock('k'), { waitMs: Infinity });
    h.advance(1e12);
    expect(waiting.answer).toBeUndefined();
    a.release(lock('k'), token);
    expect(waiting.answer).toMatchObject({ s: 'granted' });
  });

  it('timeouts come in the order of their ends, whatever the keys', () => {
    const h = new EngineHarness();
    const a = h.peer();
    for (const key of ['x', 'y', 'z']) a.acquire(lock(key));
    const waits = [700, 100, 400].map((waitMs, i) => a.acquire(lock('xyz'[i]!), { waitMs }));
    h.advance(1_000);
    expect(h.answered.slice(-3)).toEqual([waits[1], waits[2], waits[0]]);
  });

  it('an enqueue makes the same checks, its own state first', () => {
    const h = new EngineHarness({ maxLocks: 1, maxWaiters: 1 });
    const [a, b, c] = [h.peer(), h.peer(), h.peer()];
    expect(a.enqueue(S).answer).toMatchObject({ s: 'acquired' });
    expect(a.enqueue(sem('s', 9)).answer).toEqual({ s: 'already_enqueued' });
    expect(b.enqueue(sem('s', 9)).answer).toEqual({ s: 'limit_mismatch' });
    expect(b.enqueue(lock('new')).answer).toEqual({ s: 'max_locks' });
    expect(b.enqueue(S, 100).answer).toMatchObject({ s: 'acquired', leaseMs: 100 });
    expect(c.enqueue(S).answer).toEqual({ s: 'queued' });
    expect(c.enqueue(S).answer).toEqual({ s: 'already_enqueued' });
    expect(h.peer().enqueue(S).answer).toEqual({ s: 'max_waiters' });
    h.advance(100);
    expect(h.peer().enqueue(S).answer).toEqual({ s: 'queued' });
    expect(c.wait(S, 0).answer).toMatchObject({ s: 'granted' });
  });
});
