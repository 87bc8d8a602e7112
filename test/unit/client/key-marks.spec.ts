import { beforeEach, describe, expect, it } from '@jest/globals';
import { KeyMarks, type Mark } from '../../../lib/client/key-marks.js';

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
