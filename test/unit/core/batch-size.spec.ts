import { describe, expect, it } from '@jest/globals';
import { batchSize } from '../../../lib/core/batch-size.js';

describe('batchSize', () => {
  it('takes few of a little, and not many more of very many', () => {
    expect([batchSize(0), batchSize(512 * 512), batchSize(1_000_000)]).toEqual([512, 512, 1953]);
  });

  it('grows with what there is, so that what is left over is bounded', () => {
    expect(batchSize(10_000_000)).toBeGreaterThan(19_000);
  });

  it('has another least for what costs more', () => {
    expect(batchSize(1000, 128)).toBe(128);
  });
});
