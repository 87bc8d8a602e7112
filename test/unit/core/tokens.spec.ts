import { describe, expect, it } from '@jest/globals';
import type { Entropy } from '../../../lib/common/system.js';
import { FencedTokens, fenceSeed } from '../../../lib/core/tokens.js';
import { fenceOf } from '../../../lib/protocol/fence-of-token.js';
import { FakeEntropy } from '../../support/fake-clock.js';

/** Spec 10. */
describe('tokens', () => {
  const some = (last: bigint, count: number): string[] => {
    const tokens = new FencedTokens(new FakeEntropy(), last);
    return Array.from({ length: count }, () => tokens.next()!);
  };

  it('are 32 lowercase hex digits', () => {
    for (const token of some(0n, 2_000)) expect(token).toMatch(/^[0-9a-f]{32}$/);
  });

  it('carry a fence that rises by one, from the one after the last', () => {
    const fences = some(0x0001a3f217b3c4d7n, 2_000).map(fenceOf);
    expect(fences[0]).toBe(0x0001a3f217b3c4d8n);
    fences.forEach((fence, i) => expect(fence).toBe(fences[0]! + BigInt(i)));
  });

  it.each([0xffff_ffffn, 0x0001_ffff_fffdn, 0x18f0_1234_ffff_fffen, 0xffff_fffe_ffff_fffen])(
    'carry into the upper half of the fence: %d',
    (last) => {
      const tokens = some(last, 5);
      expect(tokens.map(fenceOf)).toEqual([1n, 2n, 3n, 4n, 5n].map((n) => last + n));
      // As strings they rise too.
      expect([...tokens].sort()).toEqual(tokens);
    },
  );

  it('have a salt each, all of it from the entropy', () => {
    const salts = some(0n, 5_000).map((token) => token.slice(16));
    expect(new Set(salts).size).toBe(5_000);
    const counting: Entropy = { unit: () => 0, fill: (bytes) => bytes.forEach((_, i) => (bytes[i] = 0x5a)) };
    expect(new FencedTokens(counting, 0n).next()).toBe('0000000000000001' + '5a'.repeat(8));
  });

  it('draw new entropy when what was drawn is used up, and never use it twice', () => {
    let draws = 0;
    const numbered: Entropy = { unit: () => 0, fill: (bytes) => void bytes.fill(++draws) };
    const tokens = new FencedTokens(numbered, 0n);
    const salts = Array.from({ length: 3_000 }, () => tokens.next()!.slice(16));
    expect(new Set(salts).size).toBe(draws);
    expect(draws).toBeGreaterThan(1);
  });

  it('are seeded with the nanoseconds of the wall clock', () => {
    expect(fenceSeed(1_700_000_000_123)).toBe(1_700_000_000_123_000_000n);
    expect(fenceSeed(1_700_000_000_123.75)).toBe(1_700_000_000_123_000_000n);
    expect(fenceSeed(Date.UTC(2026, 5)).toString(16)).toMatch(/^18/);
  });
});
