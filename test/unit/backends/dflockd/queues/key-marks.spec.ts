import { beforeEach, describe, expect, it } from '@jest/globals';
import { KeyMarks, type Mark } from '../../../../../lib/backends/dflockd/queues/key-marks.js';

const until = (heldUntil: number | undefined): Mark => ({ heldUntil });
const lock = (key: string) => ({ kind: 'lock', key, limit: 1 }) as const;
const sem = (key: string, limit: number) => ({ kind: 'sem', key, limit }) as const;

let marks: KeyMarks<Mark>;

beforeEach(() => {
  marks = new KeyMarks();
});

describe('the marks of keys', () => {
  it('say whether a lock is held here, for as long as its lease lasts', () => {
    const mark = until(100);
    marks.set('lock', 'a', 1, mark);
    expect(marks.isFull(lock('a'), 99)).toBe(true);
    expect(marks.isFull(lock('a'), 100)).toBe(false);
    expect(marks.isFull(sem('a', 1), 99)).toBe(false);
    marks.delete('lock', 'a', 1, until(100));
    expect(marks.ofLock('a')).toBe(mark);
    marks.delete('lock', 'a', 1, mark);
    expect(marks.isFull(lock('a'), 99)).toBe(false);
  });

  it('know who holds a lock now, not who held it before', () => {
    const [before, now] = [until(1), until(2)];
    marks.set('lock', 'a', 1, before);
    marks.delete('lock', 'a', 1, before);
    marks.set('lock', 'a', 1, now);
    expect(marks.ofLock('a')).toBe(now);
  });

  it('know nothing of a key that was never used', () => {
    marks.delete('lock', 'a', 1, until(1));
    marks.delete('sem', 'a', 2, until(1));
    expect([marks.ofLock('a'), marks.isFull(lock('a'), 0), marks.isFull(sem('a', 2), 0)]).toEqual([
      undefined,
      false,
      false,
    ]);
  });

  it('do not count who only tries', () => {
    marks.set('lock', 'a', 1, until(undefined));
    expect(marks.isFull(lock('a'), 0)).toBe(false);
  });

  it('count the slots of a semaphore; another limit is another one', () => {
    const held = [until(100), until(50)];
    for (const mark of held) marks.set('sem', 's', 2, mark);
    expect(marks.isFull(sem('s', 2), 40)).toBe(true);
    expect(marks.isFull(sem('s', 2), 60)).toBe(false);
    expect(marks.isFull(sem('s', 3), 40)).toBe(false);
    for (const mark of held) marks.delete('sem', 's', 2, mark);
    expect(marks.isFull(sem('s', 2), 0)).toBe(false);
  });

  it('count a slot no longer than to the moment in which its lease ends', () => {
    marks.set('sem', 's', 1, until(100));
    expect(marks.isFull(sem('s', 1), 99)).toBe(true);
    expect(marks.isFull(sem('s', 1), 100)).toBe(false);
  });

  it('do not take one semaphore for another of the same size', () => {
    marks.set('sem', 's', 1, until(100));
    expect(marks.isFull(sem('t', 1), 0)).toBe(false);
  });

  it('remember the other slots of a semaphore when one is given back', () => {
    const [one, other] = [until(100), until(100)];
    for (const mark of [one, other]) marks.set('sem', 's', 1, mark);
    marks.delete('sem', 's', 1, one);
    marks.delete('sem', 's', 1, one);
    expect(marks.isFull(sem('s', 1), 0)).toBe(true);
    marks.delete('sem', 's', 1, other);
    marks.set('sem', 's', 1, until(undefined));
    expect(marks.isFull(sem('s', 1), 0)).toBe(false);
  });

  describe('keep entries of locks', () => {
    const mark = until(1);
    const name = (i: number): string => `key-${i}`;
    const use = (from: number, to: number): void => {
      for (let i = from; i < to; i++) marks.set('lock', name(i), 1, mark);
    };
    const drop = (from: number, to: number): void => {
      for (let i = from; i < to; i++) marks.delete('lock', name(i), 1, mark);
    };

    it('that nobody uses, up to 2048 of them', () => {
      use(0, 2049);
      drop(0, 2048);
      expect(marks.size).toBe(2049);
      drop(2048, 2049);
      expect(marks.size).toBe(0);
    });

    it('that nobody uses, up to as many as are in use', () => {
      use(0, 5000);
      drop(0, 2500);
      expect(marks.size).toBe(5000);
      drop(2500, 2501);
      expect(marks.size).toBe(2499);
    });

    it('and do not count one as unused that is used again', () => {
      use(0, 100);
      drop(0, 100);
      for (let i = 0; i < 10_000; i++) {
        use(0, 1);
        drop(0, 1);
      }
      expect(marks.size).toBe(100);
    });

    it('and do not count one as used again that only changes hands', () => {
      for (let i = 0; i < 10_000; i++) marks.set('lock', name(0), 1, until(i));
      use(1, 4000);
      drop(1, 4000);
      expect(marks.size).toBeLessThan(2100);
    });
  });

  it('do not grow with keys of the past', () => {
    const kept = until(1);
    marks.set('lock', 'kept', 1, kept);
    for (let i = 0; i < 50_000; i++) {
      const mark = until(1);
      marks.set('lock', `key-${i}`, 1, mark);
      marks.delete('lock', `key-${i}`, 1, mark);
    }
    expect(marks.size).toBeLessThan(5000);
    expect(marks.ofLock('kept')).toBe(kept);
  });
});
