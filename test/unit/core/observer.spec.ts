import { beforeEach, describe, expect, it } from '@jest/globals';
import type { EngineObserver, ObservedHold, ObservedWaiter } from '../../../lib/core/observer.js';
import { CountingObserver } from '../../support/counting-observer.js';
import { EngineHarness, lock, type Peer, sem, tokenOf } from '../../support/engine-harness.js';

describe('an observer of the engine', () => {
  const K = lock('k');
  let seen: CountingObserver;
  let h: EngineHarness;
  let a: Peer;
  let b: Peer;

  beforeEach(() => {
    seen = new CountingObserver();
    h = new EngineHarness({ maxWaiters: 2, maxLocks: 3, defaultLeaseMs: 10_000, observer: seen });
    [a, b] = [h.peer(), h.peer()];
  });

  it('is told of a lock that was free, and of its release', () => {
    const token = tokenOf(a.acquire(K));
    h.advance(250);
    a.release(K, token);
    expect(seen.take()).toEqual(['granted lock k at once 0', 'freed lock k release after 250']);
  });

  it('is told of a place in the queue, and of how long it took', () => {
    const token = tokenOf(a.acquire(K));
    h.advance(100);
    b.acquire(K, { waitMs: 60_000 });
    h.peer().enqueue(K);
    h.advance(200);
    a.release(K, token);
    expect(seen.take()).toEqual([
      'granted lock k at once 0',
      'queued lock k 1',
      'queued lock k 2',
      'freed lock k release after 300',
      'granted lock k after 200',
    ]);
  });

  it('tells the same waiter and the same hold from their beginning to their end', () => {
    const told: [string, unknown][] = [];
    const observer: EngineObserver = {
      queued: (_kind, _key, _length, waiter) => void told.push(['queued', waiter]),
      granted: (_kind, _key, _waited, hold, waiter) => void told.push(['for', waiter], ['granted', hold]),
      extended: (_kind, _key, hold) => void told.push(['extended', hold]),
      freed: (_kind, _key, _held, _by, hold) => void told.push(['freed', hold]),
      left: (_kind, _key, _waited, _by, waiter) => void told.push(['left', waiter]),
      refused: () => undefined,
    };
    h = new EngineHarness({ observer });
    [a, b] = [h.peer('a'), h.peer('b')];
    a.acquire(K);
    const waits = b.acquire(K, { waitMs: 60_000, leaseMs: 5_000 });
    a.close();
    const token = tokenOf(waits);
    b.renew(K, token, 7_000);
    b.release(K, token);
    expect(told.map(([what]) => what)).toEqual(
      ['for', 'granted', 'queued', 'freed', 'for', 'granted', 'extended', 'freed'],
    ); // prettier-ignore
    expect(told[3]![1]).toBe(told[1]![1]);
    expect(told[4]![1]).toBe(told[2]![1]);
    expect((told[2]![1] as ObservedWaiter).session).toBe(b.session);
    expect((told[5]![1] as ObservedHold).token).toBe(token);
    expect(told.slice(6).every(([, each]) => each === told[5]![1])).toBe(true);
  });

  it('is told nothing any more once it is detached; others still are', () => {
    const [second, third] = [new CountingObserver(), new CountingObserver()];
    const detach = h.engine.observe(second, () => undefined);
    h.engine.observe(third, () => undefined);
    const token = tokenOf(a.acquire(K));
    detach();
    detach();
    a.release(K, token);
    expect(second.take()).toEqual(['granted lock k at once 0']);
    for (const each of [seen, third]) {
      expect(each.take()).toEqual(['granted lock k at once 0', 'freed lock k release after 0']);
    }
  });

  describe('is told why a hold ended', () => {
    it('expiry: by the sweep', () => {
      a.acquire(K, { leaseMs: 1_500 });
      h.advanceTo(2_500);
      expect(seen.take()).toEqual(['granted lock k at once 0', 'freed lock k expiry after 2000']);
    });

    it('expiry: by the next who asks', () => {
      a.acquire(K, { leaseMs: 1_500 });
      h.advanceTo(1_600);
      b.acquire(K);
      expect(seen.take().slice(1)).toEqual(['freed lock k expiry after 1600', 'granted lock k at once 0']);
    });

    it('expiry: by a renewal that comes too late', () => {
      const token = tokenOf(a.acquire(K, { leaseMs: 1_500 }));
      h.advanceTo(1_600);
      expect(a.renew(K, token)).toEqual({ s: 'error' });
      expect(seen.take().slice(1)).toEqual(['freed lock k expiry after 1600']);
    });

    it('expiry: by a wait that comes too late', () => {
      a.enqueue(K, 1_500);
      h.advanceTo(1_600);
      expect(a.wait(K, 1).answer).toEqual({ s: 'lease_expired' });
      expect(seen.take().slice(1)).toEqual(['freed lock k expiry after 1600']);
    });

    it('disconnect, also of what is left for later', () => {
      const many = sem('s', 1_000);
      for (let i = 0; i < 200; i++) a.acquire(many);
      seen.take();
      a.close();
      expect(seen.take()).toHaveLength(64);
      h.advance(1);
      h.advance(1);
      expect(seen.held).toBe(0);
      const rest = seen.take();
      expect(rest).toHaveLength(136);
      for (const note of rest) expect(note).toMatch(/^freed sem s disconnect/);
    });

    it('release of a lease that had lapsed', () => {
      const token = tokenOf(a.acquire(K, { leaseMs: 1_500 }));
      h.advanceTo(1_600);
      a.release(K, token);
      expect(seen.take().slice(1)).toEqual(['freed lock k release after 1600']);
    });
  });

  describe('is told why a waiter left', () => {
    beforeEach(() => {
      tokenOf(h.peer('holder').acquire(K, { leaseMs: 1e9 }));
      seen.take();
    });

    it('timeout', () => {
      b.acquire(K, { waitMs: 300 });
      h.advance(400);
      expect(seen.take()).toEqual(['queued lock k 1', 'left lock k timeout after 300']);
    });

    it('timeout of a wait that does not wait', () => {
      b.enqueue(K);
      h.advance(400);
      b.wait(K, 0);
      expect(seen.take()).toEqual(['queued lock k 1', 'left lock k timeout after 400']);
    });

    it('cancel', () => {
      const waits = b.acquire(K, { waitMs: 300 });
      h.advance(100);
      b.cancel(waits);
      expect(seen.take()).toEqual(['queued lock k 1', 'left lock k cancel after 100']);
    });

    it('cancel: the engine drains', () => {
      b.acquire(K, { waitMs: 300 });
      h.drain();
      expect(seen.take()).toEqual(['queued lock k 1', 'left lock k cancel after 0']);
    });

    it('disconnect', () => {
      b.acquire(K, { waitMs: 300 });
      a.enqueue(K);
      a.close();
      b.close();
      expect(seen.take().slice(2)).toEqual(['left lock k disconnect after 0', 'left lock k disconnect after 0']);
      expect(seen.waiting).toBe(0);
    });

    it('disconnect of a place that becomes free while its session is being cleared', () => {
      h = new EngineHarness({ maxLocks: 1_000, observer: seen });
      [a, b] = [h.peer(), h.peer()];
      const keys = Array.from({ length: 100 }, (_, i) => lock(`k${i}`));
      const tokens = keys.map((key) => tokenOf(a.acquire(key)));
      for (const key of keys) b.enqueue(key);
      b.close();
      seen.take();
      a.release(keys[99]!, tokens[99]!);
      expect(seen.take()).toEqual(['freed lock k99 release after 0', 'left lock k99 disconnect after 0']);
    });
  });

  it('is told what was refused', () => {
    a.acquire(K);
    a.acquire(lock('l'));
    a.acquire(lock('m'));
    b.enqueue(K);
    h.peer().enqueue(K);
    seen.take();
    h.peer().enqueue(K);
    h.peer().acquire(K, { waitMs: 1 });
    h.peer().acquire(lock('n'));
    h.peer().enqueue(lock('n'));
    b.enqueue(K);
    h.drain();
    b.acquire(K);
    b.listen('x');
    expect(seen.take()).toEqual([
      ...['refused max_waiters', 'refused max_waiters', 'refused max_locks', 'refused max_locks'],
      ...['refused already_enqueued', 'refused draining', 'refused draining'],
    ]);
  });

  it('is told of another limit', () => {
    a.acquire(sem('s', 2));
    b.acquire(sem('s', 3));
    expect(seen.take()).toEqual(['granted sem s at once 0', 'refused limit_mismatch']);
  });

  it('is told of a lease that begins anew, by a renewal or a wait', () => {
    const token = tokenOf(a.acquire(K));
    a.renew(K, token);
    b.enqueue(lock('l'));
    b.wait(lock('l'), 1);
    expect(seen.take()).toEqual([
      ...['granted lock k at once 0', 'extended lock k', 'granted lock l at once 0', 'extended lock l'],
    ]);
  });

  it('is told nothing of a try that finds the lock held, nor of a wrong token', () => {
    a.acquire(K);
    seen.take();
    b.acquire(K);
    b.release(K, 'f'.repeat(32));
    b.renew(K, 'f'.repeat(32));
    expect(seen.take()).toEqual([]);
  });
});
