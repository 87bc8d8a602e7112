import { describe, expect, it } from '@jest/globals';
import { EngineHarness, lock, type Peer, sem, START, tokenOf } from '../../support/engine-harness.js';

/** Spec 4.7. Times are counted from the start of the engine. */
describe('limits', () => {
  it('max-locks counts every key of both kinds, idle ones included', () => {
    const h = new EngineHarness({ maxLocks: 3 });
    const a = h.peer();
    const token = tokenOf(a.acquire(lock('k')));
    a.acquire(sem('k', 2));
    a.enqueue(lock('l'));
    a.release(lock('k'), token);
    expect(a.acquire(lock('m')).answer).toEqual({ s: 'max_locks' });
    expect(a.enqueue(sem('m', 4)).answer).toEqual({ s: 'max_locks' });
    // A refused key is not counted.
    expect(a.acquire(lock('k')).answer).toMatchObject({ s: 'granted' });
    expect(h.stats()).toMatchObject({ locks: { length: 2 }, semaphores: { length: 1 } });
  });

  it('max-waiters counts both kinds of waiters, for each key', () => {
    const h = new EngineHarness({ maxWaiters: 2 });
    const a = h.peer();
    for (const target of [lock('k'), sem('k', 1), sem('s', 2)]) {
      for (let i = 0; i < Number(target.limit); i++) a.acquire(target);
      expect(h.peer().enqueue(target).answer).toEqual({ s: 'queued' });
      const waiting = h.peer().acquire(target, { waitMs: 60_000 });
      expect(h.peer().enqueue(target).answer).toEqual({ s: 'max_waiters' });
      expect(h.peer().acquire(target, { waitMs: 60_000 }).answer).toEqual({ s: 'max_waiters' });
      waiting.peer.cancel(waiting);
      expect(h.peer().enqueue(target).answer).toEqual({ s: 'queued' });
    }
  });

  it('max-waiters of 0 is none', () => {
    const h = new EngineHarness({ maxWaiters: 0 });
    const a = h.peer();
    for (let i = 0; i < 2_000; i++) a.acquire(lock('k'), { waitMs: 60_000 });
    expect(h.stats().locks).toMatchObject([{ waiters: 1_999 }]);
  });

  it('says once when keys run short, and again only after half of them were free', () => {
    const told: number[] = [];
    const h = new EngineHarness({ maxLocks: 10, onNearlyFull: (resources) => told.push(resources) });
    const a = h.peer();
    const use = (from: number, to: number): void => {
      for (let i = from; i <= to; i++) a.release(lock(`k${i}`), tokenOf(a.acquire(lock(`k${i}`))));
    };
    use(1, 7);
    expect(told).toEqual([]);
    use(8, 10);
    expect(told).toEqual([8]);
    h.advance(70_000);
    use(1, 8);
    expect(told).toEqual([8, 8]);
  });

  it('does not say again that keys run short while half of them are in use', () => {
    const told: number[] = [];
    const h = new EngineHarness({ maxLocks: 10, onNearlyFull: (resources) => told.push(resources) });
    const a = h.peer();
    const tokens = Array.from({ length: 8 }, (_, i) => tokenOf(a.acquire(lock(`k${i}`), { leaseMs: 1e9 })));
    const release = (from: number, to: number): void => {
      for (let i = from; i < to; i++) a.release(lock(`k${i}`), tokens[i]!);
      h.advance(70_000);
    };
    const use = (name: string, count: number): void => {
      for (let i = 0; i < count; i++) a.release(lock(name + i), tokenOf(a.acquire(lock(name + i))));
    };
    release(0, 3);
    use('half', 3);
    expect(told).toEqual([8]);
    release(3, 4);
    use('less', 4);
    expect(told).toEqual([8, 8]);
  });
});

describe('garbage collection', () => {
  /** A session that comes, uses the engine, and goes. */
  const closing = (h: EngineHarness, use: (peer: Peer) => unknown): void => {
    const peer = h.peer();
    use(peer);
    peer.close();
  };

  /** When a key that became idle at `idleAt` is forgotten; looked at every millisecond. */
  function forgottenAt(idleAt: number, options: { gcIntervalMs: number; gcMaxIdleMs: number }): number {
    const h = new EngineHarness({ maxLocks: 1, ...options });
    const a = h.peer();
    const token = tokenOf(a.acquire(lock('k')));
    h.advanceTo(idleAt);
    a.release(lock('k'), token);
    while (h.stats().idle_locks.length > 0 && h.now < START + 1_000) h.advance(1);
    return h.now - START;
  }

  it('forgets at the first tick at which a key has been idle for longer than it may', () => {
    const options = { gcIntervalMs: 50, gcMaxIdleMs: 200 };
    expect(forgottenAt(1, options)).toBe(250);
    expect(forgottenAt(49, options)).toBe(250);
    // Idle for exactly as long as it may: not yet.
    expect(forgottenAt(50, options)).toBe(300);
    expect(forgottenAt(0, options)).toBe(250);
    expect(forgottenAt(99, options)).toBe(300);
    expect(forgottenAt(7, { gcIntervalMs: 50, gcMaxIdleMs: 0 })).toBe(50);
    expect(forgottenAt(50, { gcIntervalMs: 50, gcMaxIdleMs: 0 })).toBe(100);
  });

  it.each([
    [0, 65_000],
    [4_999, 65_000],
    [5_000, 70_000],
  ])('by default forgets a key that is idle since %d at %d', (idleAt, forgotten) => {
    const h = new EngineHarness();
    h.advanceTo(idleAt);
    closing(h, (peer) => peer.acquire(lock('k')));
    h.advanceTo(forgotten - 1);
    expect(h.stats().idle_locks).toHaveLength(1);
    h.advanceTo(forgotten);
    expect(h.stats().idle_locks).toHaveLength(0);
  });

  it('makes room, and lets the key have another limit', () => {
    const h = new EngineHarness({ maxLocks: 1 });
    const a = h.peer();
    const token = tokenOf(a.acquire(sem('s', 2)));
    a.release(sem('s', 2), token);
    h.advanceTo(64_999);
    expect(a.acquire(sem('s', 3)).answer).toEqual({ s: 'limit_mismatch' });
    expect(a.acquire(lock('k')).answer).toEqual({ s: 'max_locks' });
    h.advanceTo(65_000);
    expect(a.acquire(sem('s', 3)).answer).toMatchObject({ s: 'granted' });
    expect(a.acquire(lock('k')).answer).toEqual({ s: 'max_locks' });
  });

  it('spares what is held or waited for, however long', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.acquire(lock('k'), { leaseMs: 1e9 });
    h.advance(1e6);
    expect(h.engine.isHeld('lock', 'k')).toBe(true);
    expect(h.stats().locks).toHaveLength(1);
  });

  const S = sem('s', 2);
  const uses: [string, boolean, (h: EngineHarness) => void][] = [
    ['an acquire and its release', true, (h) => void h.peer().release(S, tokenOf(h.peer().acquire(S)))],
    ['an enqueue and a disconnect', true, (h) => closing(h, (peer) => peer.enqueue(S))],
    ['an acquire with another limit', false, (h) => void h.peer().acquire(sem('s', 3))],
    ['an enqueue with another limit', false, (h) => void h.peer().enqueue(sem('s', 3))],
    ['a release with a wrong token', false, (h) => void h.peer().release(S, 'f'.repeat(32))],
    ['a renewal with a wrong token', false, (h) => void h.peer().renew(S, 'f'.repeat(32))],
    ['a wait of who never enqueued', false, (h) => void h.peer().wait(S, 1_000)],
    ['a lock of the same name', false, (h) => void h.peer().acquire(lock('s'))],
  ];
  it.each(uses)('counts the idle time anew after %s: %s', (_name, resets, use) => {
    const h = new EngineHarness();
    closing(h, (peer) => peer.acquire(S));
    h.advanceTo(30_000);
    use(h);
    expect(h.stats().idle_semaphores).toEqual([{ key: 's', idle_s: resets ? 0 : 30 }]);
    h.advanceTo(65_000);
    expect(h.stats().idle_semaphores).toHaveLength(resets ? 1 : 0);
    h.advanceTo(95_000);
    expect(h.stats().idle_semaphores).toHaveLength(0);
  });

  it('counts from the sweep for what lapsed', () => {
    const h = new EngineHarness();
    h.peer().acquire(lock('k'), { leaseMs: 1_500 });
    h.advanceTo(3_000);
    expect(h.stats().idle_locks).toEqual([{ key: 'k', idle_s: 1 }]);
  });

  it('forgets several keys, each in its time', () => {
    const h = new EngineHarness();
    for (const [i, key] of ['a', 'b', 'c', 'd'].entries()) {
      h.advanceTo(i * 4_000);
      closing(h, (peer) => peer.acquire(lock(key)));
    }
    const left = (): string[] => h.stats().idle_locks.map(({ key }) => key);
    h.advanceTo(64_999);
    expect(left()).toEqual(['a', 'b', 'c', 'd']);
    h.advanceTo(65_000);
    expect(left()).toEqual(['c', 'd']);
    h.advanceTo(70_000);
    expect(left()).toEqual(['d']);
    h.advanceTo(75_000);
    expect(left()).toEqual([]);
  });
});
