import { describe, expect, it } from '@jest/globals';
import { EngineHarness, lock, sem, tokenOf } from '../../support/engine-harness.js';

/** Spec 7, since 1.16. */
describe('drain', () => {
  const K = lock('k');

  it('answers open waits with an error', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(K);
    const acquiring = b.acquire(K, { waitMs: 60_000 });
    const another = b.acquire(K, { waitMs: 60_000 });
    b.enqueue(K);
    const waiting = b.wait(K, 60_000);
    h.drain();
    for (const { answer } of [acquiring, another, waiting]) expect(answer).toEqual({ s: 'error' });
  });

  it('answers whatever comes later with draining', () => {
    const h = new EngineHarness();
    const a = h.peer();
    const token = tokenOf(a.acquire(K));
    h.drain();
    const later = [
      a.acquire(lock('free')).answer,
      a.acquire(K, { waitMs: 60_000 }).answer,
      a.enqueue(sem('s', 2)).answer,
      a.wait(K, 0).answer,
      a.renew(K, token),
      a.release(K, token),
      a.listen('x'),
      a.unlisten('x'),
      a.signal('x'),
    ];
    for (const answer of later) expect(answer).toEqual({ s: 'draining' });
    expect(h.engine.isHeld('lock', 'k')).toBe(true);
  });

  it('grants nothing any more, when sessions end and leases lapse', () => {
    const h = new EngineHarness();
    const [a, b, c] = [h.peer(), h.peer(), h.peer()];
    a.acquire(K);
    c.acquire(lock('l'), { leaseMs: 500 });
    for (const target of [K, lock('l')]) b.enqueue(target);
    h.drain();
    a.close();
    h.jump(10_000);
    expect(h.engine.isHeld('lock', 'k')).toBe(false);
    expect([...b.session.holds]).toEqual([]);
    expect(h.answered.slice(-1)[0]?.answer).toEqual({ s: 'queued' });
  });

  it('stops the engine’s time', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.acquire(K, { leaseMs: 500 });
    a.release(lock('idle'), tokenOf(a.acquire(lock('idle'))));
    h.drain();
    expect(h.engine.nextWake()).toBe(Infinity);
    h.jump(1e6);
    expect(h.engine.isHeld('lock', 'k')).toBe(true);
    expect(h.stats().idle_locks).toHaveLength(1);
  });

  it('lets sessions end, without answers', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(K);
    const waiting = b.acquire(K, { waitMs: 60_000 });
    h.drain();
    h.drain();
    const said = h.answered.length;
    a.close();
    b.close();
    expect(waiting.answer).toEqual({ s: 'error' });
    expect(h.answered).toHaveLength(said);
    expect(b.cancel(waiting)).toBe(false);
  });
});
