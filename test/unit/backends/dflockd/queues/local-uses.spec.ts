import { beforeEach, describe, expect, it } from '@jest/globals';
import { LocalUses, type LocalUse } from '../../../../../lib/backends/dflockd/queues/local-uses.js';

const until = (heldUntil: number | undefined): LocalUse => ({ heldUntil });
const lock = (key: string) => ({ kind: 'lock', key, limit: 1 }) as const;
const sem = (key: string, limit: number) => ({ kind: 'sem', key, limit }) as const;

let uses: LocalUses<LocalUse>;

beforeEach(() => {
  uses = new LocalUses();
});

describe('the uses of keys', () => {
  it('say whether a lock is held here, for as long as its lease lasts', () => {
    const mark = until(100);
    uses.set('lock', 'a', 1, mark);
    expect(uses.isFull(lock('a'), 99)).toBe(true);
    expect(uses.isFull(lock('a'), 100)).toBe(false);
    expect(uses.isFull(sem('a', 1), 99)).toBe(false);
    uses.delete('lock', 'a', 1, until(100));
    expect(uses.ofLock('a')).toBe(mark);
    uses.delete('lock', 'a', 1, mark);
    expect(uses.isFull(lock('a'), 99)).toBe(false);
  });

  it('know who holds a lock now, not who held it before', () => {
    const [before, now] = [until(1), until(2)];
    uses.set('lock', 'a', 1, before);
    uses.delete('lock', 'a', 1, before);
    uses.set('lock', 'a', 1, now);
    expect(uses.ofLock('a')).toBe(now);
  });

  it('know nothing of a key that was never used', () => {
    uses.delete('lock', 'a', 1, until(1));
    uses.delete('sem', 'a', 2, until(1));
    expect([uses.ofLock('a'), uses.isFull(lock('a'), 0), uses.isFull(sem('a', 2), 0)]).toEqual([
      undefined,
      false,
      false,
    ]);
  });

  it('do not count who only tries', () => {
    uses.set('lock', 'a', 1, until(undefined));
    expect(uses.isFull(lock('a'), 0)).toBe(false);
  });

  it('count the slots of a semaphore; another limit is another one', () => {
    const held = [until(100), until(50)];
    for (const mark of held) uses.set('sem', 's', 2, mark);
    expect(uses.isFull(sem('s', 2), 40)).toBe(true);
    expect(uses.isFull(sem('s', 2), 60)).toBe(false);
    expect(uses.isFull(sem('s', 3), 40)).toBe(false);
    for (const mark of held) uses.delete('sem', 's', 2, mark);
    expect(uses.isFull(sem('s', 2), 0)).toBe(false);
  });

  it('count a slot no longer than to the moment in which its lease ends', () => {
    uses.set('sem', 's', 1, until(100));
    expect(uses.isFull(sem('s', 1), 99)).toBe(true);
    expect(uses.isFull(sem('s', 1), 100)).toBe(false);
  });

  it('do not take one semaphore for another of the same size', () => {
    uses.set('sem', 's', 1, until(100));
    expect(uses.isFull(sem('t', 1), 0)).toBe(false);
  });

  it('remember the other slots of a semaphore when one is given back', () => {
    const [one, other] = [until(100), until(100)];
    for (const mark of [one, other]) uses.set('sem', 's', 1, mark);
    uses.delete('sem', 's', 1, one);
    uses.delete('sem', 's', 1, one);
    expect(uses.isFull(sem('s', 1), 0)).toBe(true);
    uses.delete('sem', 's', 1, other);
    uses.set('sem', 's', 1, until(undefined));
    expect(uses.isFull(sem('s', 1), 0)).toBe(false);
  });

  describe('keep entries of locks', () => {
    const mark = until(1);
    const name = (i: number): string => `key-${i}`;
    const use = (from: number, to: number): void => {
      for (let i = from; i < to; i++) uses.set('lock', name(i), 1, mark);
    };
    const drop = (from: number, to: number): void => {
      for (let i = from; i < to; i++) uses.delete('lock', name(i), 1, mark);
    };

    it('that nobody uses, up to 2048 of them', () => {
      use(0, 2049);
      drop(0, 2048);
      expect(uses.size).toBe(2049);
      drop(2048, 2049);
      expect(uses.size).toBe(0);
    });

    it('that nobody uses, up to as many as are in use', () => {
      use(0, 5000);
      drop(0, 2500);
      expect(uses.size).toBe(5000);
      drop(2500, 2501);
      expect(uses.size).toBe(2499);
    });

    it('and do not count one as unused that is used again', () => {
      use(0, 100);
      drop(0, 100);
      for (let i = 0; i < 10_000; i++) {
        use(0, 1);
        drop(0, 1);
      }
      expect(uses.size).toBe(100);
    });

    it('and do not count one as used again that only changes hands', () => {
      for (let i = 0; i < 10_000; i++) uses.set('lock', name(0), 1, until(i));
      use(1, 4000);
      drop(1, 4000);
      expect(uses.size).toBeLessThan(2100);
    });
  });

  it('do not grow with keys of the past', () => {
    const kept = until(1);
    uses.set('lock', 'kept', 1, kept);
    for (let i = 0; i < 50_000; i++) {
      const mark = until(1);
      uses.set('lock', `key-${i}`, 1, mark);
      uses.delete('lock', `key-${i}`, 1, mark);
    }
    expect(uses.size).toBeLessThan(5000);
    expect(uses.ofLock('kept')).toBe(kept);
  });
});
