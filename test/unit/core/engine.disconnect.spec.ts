import { describe, expect, it } from '@jest/globals';
import { EngineHarness, lock, sem, tokenOf } from '../../support/engine-harness.js';

/** Spec 4.6. */
describe('the end of a session', () => {
  const K = lock('k');
  const S = sem('s', 3);

  it('frees all that it holds, and hands it on', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(K);
    for (let i = 0; i < 3; i++) a.acquire(S);
    const waiting = [
      b.acquire(K, { waitMs: 60_000 }),
      b.acquire(S, { waitMs: 60_000 }),
      b.acquire(S, { waitMs: 60_000 }),
    ];
    a.close();
    for (const { answer } of waiting) expect(answer).toMatchObject({ s: 'granted' });
    expect(h.stats().semaphores).toMatchObject([{ holders: 2, waiters: 0 }]);
  });

  it('happens once: a second one frees nothing that the first has left', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.acquire(K);
    a.close({ autoRelease: false });
    a.close();
    expect(h.engine.isHeld('lock', 'k')).toBe(true);
  });

  it('frees what others renewed, and not what others released', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    const [kept, gone] = [tokenOf(a.acquire(K)), tokenOf(a.acquire(lock('gone')))];
    b.renew(K, kept, 60_000);
    b.release(lock('gone'), gone);
    b.acquire(lock('gone'));
    a.close();
    expect(h.engine.isHeld('lock', 'k')).toBe(false);
    expect(h.engine.isHeld('lock', 'gone')).toBe(true);
  });

  it('frees what has lapsed and is not swept', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(K, { leaseMs: 100 });
    const waiting = b.acquire(K, { waitMs: 60_000 });
    h.advance(100);
    a.close();
    expect(waiting.answer).toMatchObject({ s: 'granted' });
  });

  it('takes its waiters out of the queues without an answer', () => {
    const h = new EngineHarness();
    const [a, b, c] = [h.peer(), h.peer(), h.peer()];
    const token = tokenOf(a.acquire(K));
    const gone = b.acquire(K, { waitMs: 60_000 });
    const alsoGone = b.acquire(K, { waitMs: 60_000 });
    const next = c.acquire(K, { waitMs: 60_000 });
    b.close();
    a.release(K, token);
    expect(next.answer).toMatchObject({ s: 'granted' });
    h.advance(60_000);
    expect([gone.answer, alsoGone.answer]).toEqual([undefined, undefined]);
  });

  it('takes its two-phase places out of the queues, waited on or not', () => {
    const h = new EngineHarness();
    const [a, b, c] = [h.peer(), h.peer(), h.peer()];
    const tokens = [K, lock('l')].map((target) => tokenOf(a.acquire(target)));
    b.enqueue(K);
    b.enqueue(lock('l'));
    b.wait(lock('l'), 60_000);
    b.close();
    a.release(K, tokens[0]!);
    a.release(lock('l'), tokens[1]!);
    expect(c.acquire(K).answer).toMatchObject({ s: 'granted' });
    expect(c.acquire(lock('l')).answer).toMatchObject({ s: 'granted' });
  });

  it('never hands what it frees to itself', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.acquire(K);
    a.acquire(K, { waitMs: 60_000 });
    a.enqueue(K);
    a.close();
    expect(h.engine.isHeld('lock', 'k')).toBe(false);
    expect(h.stats()).toMatchObject({ locks: [], idle_locks: [{ key: 'k' }] });
  });

  it('is the same the second time', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(K);
    a.close();
    expect(b.acquire(K).answer).toMatchObject({ s: 'granted' });
    a.close();
    expect(h.engine.isHeld('lock', 'k')).toBe(true);
  });

  it('cancels nothing afterwards', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(K);
    const waiting = b.acquire(K, { waitMs: 60_000 });
    b.close();
    expect(b.cancel(waiting)).toBe(false);
  });

  it('drops its subscriptions', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.listen('x');
    a.listen('>', 'group');
    b.listen('x');
    a.close();
    expect(b.signal('x')).toEqual({ s: 'delivered', count: 1 });
    expect(h.stats().signal_channels).toEqual([{ pattern: 'x', listeners: 1 }]);
    expect(a.pushed).toEqual([]);
  });

  describe('without auto-release', () => {
    it('leaves its holds to release by token', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const token = tokenOf(a.acquire(K));
      a.close({ autoRelease: false });
      expect(b.acquire(K).answer).toEqual({ s: 'timeout' });
      expect(b.renew(K, token)).toMatchObject({ s: 'renewed' });
      expect(b.release(K, token)).toEqual({ s: 'ok' });
      expect(b.acquire(K).answer).toMatchObject({ s: 'granted' });
    });

    it('leaves its holds to the end of the lease', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      a.acquire(K, { leaseMs: 1_500 });
      a.close({ autoRelease: false });
      const waiting = b.acquire(K, { waitMs: 60_000 });
      h.advanceTo(1_999);
      expect(waiting.answer).toBeUndefined();
      h.advanceTo(2_000);
      expect(waiting.answer).toMatchObject({ s: 'granted' });
    });

    it('takes its waiters and two-phase states away all the same', () => {
      const h = new EngineHarness();
      const [a, b, c] = [h.peer(), h.peer(), h.peer()];
      const token = tokenOf(a.acquire(K));
      b.acquire(K, { waitMs: 60_000 });
      b.enqueue(K);
      const granted = tokenOf(b.enqueue(lock('l')));
      b.close({ autoRelease: false });
      a.release(K, token);
      expect(h.engine.isHeld('lock', 'k')).toBe(false);
      // The slot that e had got stays, like any other.
      expect(c.release(lock('l'), granted)).toEqual({ s: 'ok' });
      expect(c.enqueue(lock('l')).answer).toMatchObject({ s: 'acquired' });
    });
  });
});
