import { describe, expect, it } from '@jest/globals';
import { fencesOf, FenceTracker } from '../../../../lib/backends/dflockd/fencing.js';

const token = (fence: number): string => `${fence.toString(16).padStart(16, '0')}${'ab'.repeat(8)}`;

describe('the fences of a server', () => {
  it.each(['none', 'token'] as const)('are read with the option remote.fencing: %s, if that is "token"', (fencing) => {
    const fences = fencesOf({ fencing }, () => undefined);
    expect(fences?.read('a', token(2), true)).toBe(fencing === 'token' ? 2n : undefined);
  });

  it('are those of its tokens, as long as they rise for each lock', () => {
    const told: string[] = [];
    const book = new FenceTracker((detail) => told.push(detail));
    expect(book.read('a', token(2), true)).toBe(2n);
    expect(book.read('b', token(1), true)).toBe(1n);
    expect(book.read('a', 'no such token', true)).toBeUndefined();
    // Grants of a semaphore may be answered in another order.
    expect(book.read('a', token(1), false)).toBe(1n);
    expect(told).toEqual([]);
    expect(book.read('a', token(2), true)).toBeUndefined();
    expect(book.read('b', token(9), true)).toBeUndefined();
    expect(told).toHaveLength(1);
  });

  it('are remembered for a bounded number of keys', () => {
    const told: string[] = [];
    const book = new FenceTracker((detail) => told.push(detail));
    for (let i = 1; i <= 5000; i++) book.read(`key-${i}`, token(i), true);
    expect(book.read('key-1', token(1), true)).toBe(1n);
    expect(book.read('key-5000', token(1), true)).toBeUndefined();
    expect(told).toHaveLength(1);
  });
});
