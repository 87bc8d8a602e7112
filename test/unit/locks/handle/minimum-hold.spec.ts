import { describe, expect, it } from '@jest/globals';
import { holdTimes, remainingHold } from '../../../../lib/locks/handle/minimum-hold.js';

describe('a minimum hold', () => {
  it('is what is left of it at the release', () => {
    expect([0, 1000, 3000].map((keptUntil) => remainingHold(keptUntil, 1200))).toEqual([0, 0, 1800]);
  });

  it('is given in seconds, and is no longer than the longest hold', () => {
    expect(holdTimes(1.5, undefined, 2000)).toEqual({ minHoldMs: 1500, maxHoldMs: 2000 });
    expect(holdTimes(undefined, 3, Infinity)).toEqual({ minHoldMs: 0, maxHoldMs: 3000 });
    expect(() => holdTimes(2, 1, Infinity)).toThrow('option maxHoldS: expected at least minHoldS (2), got 1');
  });
});
