import { describe, expect, it } from '@jest/globals';
import { Backoff } from '../../../lib/common/backoff.js';

describe('a back-off', () => {
  it('doubles its bound up to the maximum, with full jitter, and begins anew after a success', () => {
    let unit = 1;
    const backoff = new Backoff(50, 300, { unit: () => unit, fill: () => undefined });
    expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([50, 100, 200, 300, 300]);
    unit = 0;
    expect(backoff.next()).toBe(0);
    backoff.reset();
    unit = 0.5;
    expect(backoff.next()).toBe(25);
  });

  it('has a longest delay, of which at most half is left to chance, and which changes no other', () => {
    let unit = 1;
    const backoff = new Backoff(50, 300, { unit: () => unit, fill: () => undefined });
    expect(backoff.longest()).toBe(300);
    unit = 0;
    expect(backoff.longest()).toBe(150);
    unit = 1;
    expect(backoff.next()).toBe(50);
  });

  it('waits at least for the part of its bound that is its floor, and for the bound at most', () => {
    const delays = [0, 0.5, 1].map((unit) =>
      new Backoff(100, 300, { unit: () => unit, fill: () => undefined }, 0.6).next(),
    );
    expect(delays).toEqual([60, 80, 100]);
  });
});
