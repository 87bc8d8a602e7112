import { describe, expect, it } from '@jest/globals';
import { portionOf } from '../../../lib/core/portion.js';

describe('portionOf', () => {
  it('takes few of a little, and not many more of very many', () => {
    expect([portionOf(0), portionOf(512 * 512), portionOf(1_000_000)]).toEqual([512, 512, 1953]);
  });

  it('grows with what there is, so that what is left over is bounded', () => {
    expect(portionOf(10_000_000)).toBeGreaterThan(19_000);
  });

  it('has another least for what costs more', () => {
    expect(portionOf(1000, 128)).toBe(128);
  });
});
