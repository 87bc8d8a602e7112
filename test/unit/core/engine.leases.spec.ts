import { describe, expect, it } from '@jest/globals';
import { EngineHarness, lock, sem, START, tokenOf } from '../../support/engine-harness.js';

/** Spec 4.4. Times are counted from the start of the engine. */
describe('leases', () => {
  const K = lock('k');

  /** When somebody who waits is granted what another's lease of `leaseMs`, taken at `from`, gives free. */
  function handedOnAt(leaseMs: number, from: number, options = {}): number {
    const h = new EngineHarness(options);
    h.advanceTo(from);
    h.peer().acquire(K, { leaseMs });
    const waiting = h.peer().acquire(K, { waitMs: Infinity });
    while (!waiting.answer && h.now < START + 40_000) h.advance(1);
    return h.now - START;
  }

  it('end by the sweep, which ticks from the start', () => {
    expect(handedOnAt(1_000, 0)).toBe(1_000);
    expect(handedOnAt(1_000, 1)).toBe(2_000);
    expect(handedOnAt(1_000, 999)).toBe(2_000);
    expect(handedOnAt(1, 0)).toBe(1_000);
    expect(handedOnAt(33_000, 500)).toBe(34_000);
    expect(handedOnAt(1_000, 0, { sweepIntervalMs: 3_600 })).toBe(3_600);
    expect(handedOnAt(1_000, 3_000, { sweepIntervalMs: 3_600 })).toBe(7_200);
  });

  it('of several keys end at the tick of each', () => {
    const h = new EngineHarness();
    const leases = { a: 2_500, b: 700, c: 1_200, d: 1_700, e: 900 };
    for (const [key, leaseMs] of Object.entries(leases)) h.peer().acquire(lock(key), { leaseMs });
    const held = () => Object.keys(leases).filter((key) => h.engine.isHeld('lock', key));
    h.advanceTo(999);
    expect(held()).toEqual(['a', 'b', 'c', 'd', 'e']);
    h.advanceTo(1_000);
    expect(held()).toEqual(['a', 'c', 'd']);
    h.advanceTo(2_000);
    expect(held()).toEqual(['a']);
    h.advanceTo(2_999);
    expect(held()).toEqual(['a']);
    h.advanceTo(3_000);
    expect(held()).toEqual([]);
  });

  it('last for the default of the server if none is given', () => {
    const h = new EngineHarness({ defaultLeaseMs: 7_000 });
    expect(h.peer().acquire(K).answer).toMatchObject({ leaseMs: 7_000 });
    h.advanceTo(6_999);
    expect(h.engine.isHeld('lock', 'k')).toBe(true);
    h.advanceTo(7_000);
    expect(h.engine.isHeld('lock', 'k')).toBe(false);
  });

  it('start at the grant, not at the request', () => {
    const h = new EngineHarness();
    const token = tokenOf(h.peer().acquire(K));
    const b = h.peer();
    const waiting = b.acquire(K, { waitMs: 60_000, leaseMs: 2_000 });
    h.advanceTo(5_000);
    b.release(K, token);
    expect(h.stats().locks).toMatchObject([{ lease_expires_in_s: 2 }]);
    h.advanceTo(6_999);
    expect(b.renew(K, tokenOf(waiting), 2_000)).toEqual({ s: 'renewed', leaseMs: 2_000 });
  });

  it('can be without end', () => {
    const h = new EngineHarness();
    const a = h.peer();
    const token = tokenOf(a.acquire(K, { leaseMs: Infinity }));
    const some = tokenOf(a.acquire(sem('s', 2), { leaseMs: Infinity }));
    h.advance(1e12);
    expect(a.renew(K, token, Infinity)).toEqual({ s: 'renewed', leaseMs: Infinity });
    expect(a.renew(sem('s', 2), some, 1_000)).toEqual({ s: 'renewed', leaseMs: 1_000 });
    h.advance(2_000);
    expect(h.engine.isHeld('sem', 's')).toBe(false);
    expect(h.engine.isHeld('lock', 'k')).toBe(true);
  });

  describe('renew', () => {
    it('sets the end to now and the given lease, longer or shorter', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const token = tokenOf(a.acquire(K, { leaseMs: 60_000 }));
      expect(a.renew(K, token, 5_000)).toEqual({ s: 'renewed', leaseMs: 5_000 });
      expect(h.stats().locks).toMatchObject([{ lease_expires_in_s: 5 }]);
      h.advance(4_000);
      expect(a.renew(K, token, 90_000)).toEqual({ s: 'renewed', leaseMs: 90_000 });
      expect(h.stats().locks).toMatchObject([{ lease_expires_in_s: 90 }]);
      h.advance(89_999);
      expect(h.engine.isHeld('lock', 'k')).toBe(true);
      h.advance(1_000);
      expect(h.engine.isHeld('lock', 'k')).toBe(false);
    });

    it('without a lease sets the default of the server, not that of the acquire', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const token = tokenOf(a.acquire(K, { leaseMs: 60_000 }));
      expect(a.renew(K, token)).toEqual({ s: 'renewed', leaseMs: 33_000 });
      expect(h.stats().locks).toMatchObject([{ lease_expires_in_s: 33 }]);
    });

    it('keeps a lease through many sweeps', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const token = tokenOf(a.acquire(K, { leaseMs: 1_000 }));
      for (let i = 0; i < 10; i++) {
        h.advance(999);
        expect(a.renew(K, token, 1_000)).toEqual({ s: 'renewed', leaseMs: 1_000 });
      }
    });

    it('of one holder of a semaphore leaves the others as they are', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const S = sem('s', 3);
      const [first, second, third] = [1_000, 2_000, 3_000].map((leaseMs) => tokenOf(a.acquire(S, { leaseMs })));
      a.renew(S, first!, 2_500);
      h.advanceTo(2_000);
      expect(a.renew(S, second!)).toEqual({ s: 'error' });
      expect(a.renew(S, third!, 100)).toMatchObject({ s: 'renewed' });
      h.advanceTo(3_000);
      expect(a.renew(S, first!)).toEqual({ s: 'error' });
      expect(h.engine.isHeld('sem', 's')).toBe(false);
    });
  });

  describe('over, and not swept', () => {
    it('renew is an error, and hands the slot on at that moment', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const token = tokenOf(a.acquire(K, { leaseMs: 100 }));
      const waiting = b.acquire(K, { waitMs: 60_000 });
      h.advance(100);
      expect(waiting.answer).toBeUndefined();
      expect(a.renew(K, token, 60_000)).toEqual({ s: 'error' });
      expect(waiting.answer).toMatchObject({ s: 'granted' });
      expect(a.release(K, token)).toEqual({ s: 'error' });
    });

    it('renew is an error also when nobody waits, and ends the hold', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const token = tokenOf(a.acquire(K, { leaseMs: 100 }));
      h.advance(100);
      expect(a.renew(K, token)).toEqual({ s: 'error' });
      expect(h.stats()).toMatchObject({ locks: [], idle_locks: [{ key: 'k', idle_s: 0 }] });
    });

    it('a renew in the last moment is in time', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const token = tokenOf(a.acquire(K, { leaseMs: 100 }));
      h.advance(99.999);
      expect(a.renew(K, token)).toMatchObject({ s: 'renewed' });
    });

    it('release is ok, and hands the slot on', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const token = tokenOf(a.acquire(K, { leaseMs: 100 }));
      const waiting = b.acquire(K, { waitMs: 60_000 });
      h.advance(500);
      expect(a.release(K, token)).toEqual({ s: 'ok' });
      expect(waiting.answer).toMatchObject({ s: 'granted' });
      expect(a.release(K, token)).toEqual({ s: 'error' });
    });

    it('what happens to another key or with another token does not evict', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const token = tokenOf(a.acquire(K, { leaseMs: 100 }));
      const waiting = b.acquire(K, { waitMs: 60_000 });
      h.advance(100);
      a.acquire(lock('other'));
      a.renew(K, 'f'.repeat(32));
      a.release(K, 'f'.repeat(32));
      a.wait(K, 0);
      expect(waiting.answer).toBeUndefined();
      expect(a.release(K, token)).toEqual({ s: 'ok' });
    });

    it('an acquire evicts the holder itself, who gets another token', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const old = tokenOf(a.acquire(K, { leaseMs: 100 }));
      h.advance(100);
      const token = tokenOf(a.acquire(K));
      expect(token > old).toBe(true);
      expect(a.release(K, old)).toEqual({ s: 'error' });
      expect(a.release(K, token)).toEqual({ s: 'ok' });
    });

    it('an acquire evicts all lapsed holders of a semaphore, and only those', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const S = sem('s', 3);
      const [x, y, z] = [100, 60_000, 200].map((leaseMs) => tokenOf(a.acquire(S, { leaseMs })));
      h.advance(200);
      expect(h.stats().semaphores).toMatchObject([{ holders: 3 }]);
      a.acquire(S);
      expect(h.stats().semaphores).toMatchObject([{ holders: 2 }]);
      expect([x, y, z].map((token) => a.release(S, token!).s)).toEqual(['error', 'ok', 'error']);
    });

    it('a renew evicts the holder it names, and no other', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const S = sem('s', 2);
      const [x, y] = [100, 100].map((leaseMs) => tokenOf(a.acquire(S, { leaseMs })));
      h.advance(100);
      expect(a.renew(S, x!)).toEqual({ s: 'error' });
      expect(h.stats().semaphores).toMatchObject([{ holders: 1 }]);
      expect(a.release(S, y!)).toEqual({ s: 'ok' });
    });

    it('the sweep takes what is left of several', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const S = sem('s', 3);
      const [x, y] = [100, 150, 60_000].map((leaseMs) => tokenOf(a.acquire(S, { leaseMs })));
      h.advance(200);
      a.release(S, x!);
      h.advanceTo(1_000);
      expect(h.stats().semaphores).toMatchObject([{ holders: 1 }]);
      expect(a.release(S, y!)).toEqual({ s: 'error' });
    });
  });

  describe('a stalled host (stall guard)', () => {
    it('does not end a lease whose renewal it has not read yet', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const token = tokenOf(a.acquire(K, { leaseMs: 1_000 }));
      const waiting = b.acquire(K, { waitMs: 60_000 });
      h.stall(5_000);
      // The time is now, but input was read only until half a second ago.
      h.engine.advance(h.now, START + 500);
      expect(a.renew(K, token, 1_000)).toEqual({ s: 'renewed', leaseMs: 1_000 });
      h.catchUp();
      expect(waiting.answer).toBeUndefined();
      expect(h.stats().locks).toMatchObject([{ owner_conn_id: a.session.id, lease_expires_in_s: 1 }]);
    });

    it('does not give the slot to a newcomer before it has read its input', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const token = tokenOf(a.acquire(K, { leaseMs: 1_000 }));
      h.stall(5_000);
      expect(b.acquire(K).answer).toEqual({ s: 'timeout' });
      expect(a.wait(K, 0).answer).toEqual({ s: 'not_enqueued' });
      expect(a.renew(K, token)).toMatchObject({ s: 'renewed' });
    });

    it('does not end a two-phase grant or a wait before it has read its input', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const token = tokenOf(a.enqueue(K, 1_000));
      const waiting = b.acquire(K, { waitMs: 2_000 });
      h.stall(5_000);
      expect(a.wait(K, 0).answer).toEqual({ s: 'granted', token, leaseMs: 1_000 });
      a.release(K, token);
      h.catchUp();
      expect(waiting.answer).toMatchObject({ s: 'granted' });
    });

    it('ends what is over once it has', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const token = tokenOf(a.acquire(K, { leaseMs: 1_000 }));
      const waiting = b.acquire(K, { waitMs: 60_000, leaseMs: 3_000 });
      h.stall(5_000);
      h.catchUp();
      expect(waiting.answer).toMatchObject({ s: 'granted' });
      expect(a.renew(K, token)).toEqual({ s: 'error' });
      // A lease starts at the grant, however late it comes.
      expect(h.stats().locks).toMatchObject([{ owner_conn_id: b.session.id, lease_expires_in_s: 3 }]);
    });
  });

  it('ends at its time also when the key had a lease with the same end before', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.release(K, tokenOf(a.acquire(K, { leaseMs: 1_000 })));
    a.acquire(K, { leaseMs: 1_000 });
    h.advanceTo(1_000);
    expect(h.engine.isHeld('lock', 'k')).toBe(false);
  });

  it('that nobody has any more is kept in no book', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.release(K, tokenOf(a.acquire(K)));
    const { running } = (h.engine as unknown as { leases: { running: { size: number } } }).leases;
    expect(running.size).toBe(0);
  });

  describe('a late host', () => {
    it('sweeps what lapsed before the last tick although something has lapsed since', () => {
      const h = new EngineHarness();
      const a = h.peer();
      a.acquire(lock('first'), { leaseMs: 900 });
      a.acquire(lock('second'), { leaseMs: 1_500 });
      h.jump(1_600);
      expect(h.engine.isHeld('lock', 'first')).toBe(false);
    });

    it('does all that is due in one call', () => {
      const h = new EngineHarness();
      const [a, b, c] = [h.peer(), h.peer(), h.peer()];
      a.acquire(K, { leaseMs: 300 });
      const head = b.acquire(K, { waitMs: 60_000 });
      const behind = c.acquire(K, { waitMs: 4_000 });
      h.jump(10_000);
      expect(head.answer).toMatchObject({ s: 'granted' });
      expect(behind.answer).toEqual({ s: 'timeout' });
    });

    it('need not be asked for: calls in between change nothing', () => {
      const h = new EngineHarness();
      const token = tokenOf(h.peer().acquire(K, { leaseMs: 1_500 }));
      for (let ms = 7; ms <= 1_499; ms += 7) h.jump(7);
      h.jump(1_499 - (h.now - START));
      expect(h.peer().renew(K, token)).toMatchObject({ s: 'renewed' });
    });
  });

  describe('nextWake', () => {
    it('is never while there is nothing to come', () => {
      const h = new EngineHarness();
      expect(h.engine.nextWake()).toBe(Infinity);
      h.peer().acquire(K, { leaseMs: Infinity });
      expect(h.engine.nextWake()).toBe(Infinity);
    });

    it('names the end of a lease, then the sweep, then the collection', () => {
      const h = new EngineHarness();
      h.peer().acquire(K, { leaseMs: 1_300 });
      expect(h.engine.nextWake()).toBe(START + 1_300);
      h.advanceTo(1_300);
      expect(h.engine.nextWake()).toBe(START + 2_000);
      h.advanceTo(2_000);
      expect(h.engine.nextWake()).toBe(START + 65_000);
      h.advanceTo(65_000);
      expect(h.engine.nextWake()).toBe(Infinity);
    });

    it('names the end of the first wait', () => {
      const h = new EngineHarness();
      const a = h.peer();
      a.acquire(K);
      a.acquire(K, { waitMs: 900 });
      const first = a.acquire(K, { waitMs: 300 });
      expect(h.engine.nextWake()).toBe(START + 300);
      a.cancel(first);
      expect(h.engine.nextWake()).toBe(START + 900);
    });

    it('names no sweep when what had lapsed was released', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const token = tokenOf(a.acquire(K, { leaseMs: 100 }));
      h.advanceTo(100);
      expect(h.engine.nextWake()).toBe(START + 1_000);
      a.release(K, token);
      expect(h.engine.nextWake()).toBe(START + 65_000);
    });

    it('follows renewals and releases', () => {
      const h = new EngineHarness();
      const a = h.peer();
      const token = tokenOf(a.acquire(K, { leaseMs: 500 }));
      a.renew(K, token, 800);
      expect(h.engine.nextWake()).toBe(START + 800);
      a.renew(K, token, 200);
      expect(h.engine.nextWake()).toBe(START + 200);
      a.release(K, token);
      expect(h.engine.nextWake()).toBe(START + 65_000);
    });
  });
});
