import { describe, expect, it } from '@jest/globals';
import { type Asked, EngineHarness, lock, type Peer, sem, tokenOf } from '../../support/engine-harness.js';

/** Spec 4.3. */
describe('the queue of a key', () => {
  const K = lock('k');

  /** The names of those who were granted, in that order. */
  const winners = (h: EngineHarness): string[] =>
    h.answered.filter(({ answer }) => answer?.s === 'granted').map(({ peer }) => peer.name);

  const releaseIn = (all: readonly Asked[], target = K): void => {
    for (const asked of all) asked.peer.release(target, tokenOf(asked));
  };

  it('is served in the order of arrival', () => {
    const h = new EngineHarness();
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => h.peer(name).acquire(K, { waitMs: 60_000 }));
    releaseIn(all);
    expect(winners(h)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('is one for acquires and enqueues', () => {
    const h = new EngineHarness();
    const first = h.peer('first').acquire(K);
    const second = h.peer('second');
    const third = h.peer('third');
    second.enqueue(K);
    const behind = third.acquire(K, { waitMs: 60_000 });
    const fourth = h.peer('fourth');
    fourth.enqueue(K);
    releaseIn([first]);
    expect(behind.answer).toBeUndefined();
    releaseIn([second.wait(K, 1_000)]);
    expect(behind.answer).toMatchObject({ s: 'granted' });
    const last = fourth.wait(K, 1_000);
    expect(last.answer).toBeUndefined();
    releaseIn([behind]);
    expect(last.answer).toMatchObject({ s: 'granted' });
  });

  it('grants in the moment in which a slot becomes free', () => {
    const h = new EngineHarness();
    const first = h.peer().acquire(K);
    const second = h.peer().acquire(K, { waitMs: 60_000, leaseMs: 4_000 });
    h.advance(10);
    releaseIn([first]);
    expect(second.answer).toMatchObject({ s: 'granted', leaseMs: 4_000 });
    // Whoever waits is told before the one who releases.
    expect(h.answered.slice(-2).map(({ answer }) => answer?.s)).toEqual(['granted', 'ok']);
  });

  it('is not overtaken by a newcomer while a lapsed holder is in the way', () => {
    const h = new EngineHarness();
    const [a, b, c] = [h.peer(), h.peer(), h.peer()];
    a.acquire(K, { leaseMs: 100 });
    const waiting = b.acquire(K, { waitMs: 60_000 });
    h.advance(300);
    expect(c.acquire(K).answer).toEqual({ s: 'timeout' });
    expect(waiting.answer).toMatchObject({ s: 'granted' });
  });

  it('is not overtaken by a newcomer of a semaphore with one slot for several who wait', () => {
    const h = new EngineHarness();
    const S = sem('s', 2);
    const held = [h.peer().acquire(S), h.peer().acquire(S, { leaseMs: 100 })];
    const waiting = [1, 2].map(() => h.peer().acquire(S, { waitMs: 60_000 }));
    h.advance(300);
    expect(h.peer().acquire(S).answer).toEqual({ s: 'timeout' });
    expect(waiting.map(({ answer }) => answer?.s)).toEqual(['granted', undefined]);
    expect(held[0]!.peer.release(S, tokenOf(held[0]!))).toEqual({ s: 'ok' });
    expect(waiting[1]!.answer).toMatchObject({ s: 'granted' });
  });

  it('several freed slots serve several heads', () => {
    const h = new EngineHarness();
    const S = sem('s', 3);
    const owner = h.peer('owner');
    for (let i = 0; i < 3; i++) owner.acquire(S);
    const waiting = ['a', 'b', 'c', 'd'].map((name) => h.peer(name).acquire(S, { waitMs: 60_000 }));
    owner.close();
    expect(winners(h).slice(3)).toEqual(['a', 'b', 'c']);
    expect(waiting[3]!.answer).toBeUndefined();
    const fences = waiting.slice(0, 3).map(tokenOf);
    expect([...fences].sort()).toEqual(fences);
  });

  it('several lapsed slots serve several heads at the sweep', () => {
    const h = new EngineHarness();
    const S = sem('s', 3);
    for (const leaseMs of [300, 200, 900]) h.peer().acquire(S, { leaseMs });
    const waiting = ['a', 'b', 'c', 'd'].map((name) => h.peer(name).acquire(S, { waitMs: 60_000 }));
    h.advance(999);
    expect(waiting.map(({ answer }) => answer)).toEqual([undefined, undefined, undefined, undefined]);
    h.advance(1);
    expect(winners(h).slice(3)).toEqual(['a', 'b', 'c']);
  });

  const leavings: [string, (middle: Asked, h: EngineHarness) => void][] = [
    ['a timeout', (_, h) => h.advance(2_000)],
    ['a cancel', ({ peer, ...asked }) => peer.cancel({ peer, ...asked })],
    ['a disconnect', ({ peer }) => peer.close()],
  ];
  it.each(leavings)('keeps its order when %s takes one from the middle', (_name, leave) => {
    const h = new EngineHarness();
    const first = h.peer('first').acquire(K);
    const waiting = ['a', 'b', 'c', 'd'].map((name) =>
      h.peer(name).acquire(K, { waitMs: name === 'b' ? 2_000 : 60_000 }),
    );
    leave(waiting[1]!, h);
    releaseIn([first, waiting[0]!, waiting[2]!, waiting[3]!]);
    expect(winners(h)).toEqual(['first', 'a', 'c', 'd']);
  });

  it('can lose its head, its tail and all of its members', () => {
    const h = new EngineHarness();
    const first = h.peer('first').acquire(K);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => h.peer(name).acquire(K, { waitMs: 60_000 })) as [
      Asked,
      Asked,
      Asked,
    ];
    c.peer.cancel(c);
    a.peer.cancel(a);
    const d = h.peer('d').acquire(K, { waitMs: 60_000 });
    releaseIn([first, b]);
    expect(winners(h)).toEqual(['first', 'b', 'd']);
    const e = h.peer('e').acquire(K, { waitMs: 60_000 });
    e.peer.cancel(e);
    releaseIn([d]);
    expect(h.peer('f').acquire(K).answer).toMatchObject({ s: 'granted' });
  });

  it('sends who enqueues again after a timeout to its tail', () => {
    const h = new EngineHarness();
    const first = h.peer('first').acquire(K);
    const early = h.peer('early');
    early.enqueue(K);
    const late = h.peer('late').acquire(K, { waitMs: 60_000 });
    expect(early.wait(K, 0).answer).toEqual({ s: 'timeout' });
    early.enqueue(K);
    releaseIn([first]);
    expect(late.answer).toMatchObject({ s: 'granted' });
  });

  describe('cancel', () => {
    it('answers who waits, once', () => {
      const h = new EngineHarness();
      h.peer().acquire(K);
      const b = h.peer();
      const waiting = b.acquire(K, { waitMs: 60_000 });
      expect(b.cancel(waiting)).toBe(true);
      expect(waiting.answer).toEqual({ s: 'cancelled' });
      expect(b.cancel(waiting)).toBe(false);
      h.advance(60_000);
      expect(waiting.answer).toEqual({ s: 'cancelled' });
    });

    it('comes too late after the grant, which stays', () => {
      const h = new EngineHarness();
      const first = h.peer().acquire(K);
      const b = h.peer();
      const waiting = b.acquire(K, { waitMs: 60_000 });
      releaseIn([first]);
      expect(b.cancel(waiting)).toBe(false);
      expect(waiting.answer).toMatchObject({ s: 'granted' });
      expect(h.engine.isHeld('lock', 'k')).toBe(true);
    });

    it('before the grant gives the slot to the next', () => {
      const h = new EngineHarness();
      const first = h.peer('first').acquire(K);
      const b = h.peer('b');
      const waiting = b.acquire(K, { waitMs: 60_000 });
      const next = h.peer('next').acquire(K, { waitMs: 60_000 });
      b.cancel(waiting);
      releaseIn([first]);
      expect(next.answer).toMatchObject({ s: 'granted' });
    });

    it('comes too late after a timeout, and for what never waited', () => {
      const h = new EngineHarness();
      const [a, b] = [h.peer(), h.peer()];
      const held = a.acquire(K);
      const waiting = b.acquire(K, { waitMs: 100 });
      h.advance(100);
      expect(b.cancel(waiting)).toBe(false);
      expect(a.cancel(held)).toBe(false);
      expect(waiting.answer).toEqual({ s: 'timeout' });
    });

    it('of a wait ends the two-phase state', () => {
      const h = new EngineHarness();
      const first = h.peer().acquire(K);
      const b = h.peer();
      b.enqueue(K);
      const waiting = b.wait(K, 60_000);
      expect(b.cancel(waiting)).toBe(true);
      expect(b.wait(K, 0).answer).toEqual({ s: 'not_enqueued' });
      releaseIn([first]);
      expect(h.engine.isHeld('lock', 'k')).toBe(false);
      expect(b.enqueue(K).answer).toMatchObject({ s: 'acquired' });
    });

    it('takes one of several operations of a session', () => {
      const h = new EngineHarness();
      const first = h.peer().acquire(K);
      const b: Peer = h.peer();
      const [one, two, three] = [1, 2, 3].map(() => b.acquire(K, { waitMs: 60_000 })) as [Asked, Asked, Asked];
      expect(b.cancel(two)).toBe(true);
      releaseIn([first]);
      expect(one.answer).toMatchObject({ s: 'granted' });
      releaseIn([one]);
      expect(three.answer).toMatchObject({ s: 'granted' });
    });
  });
});
