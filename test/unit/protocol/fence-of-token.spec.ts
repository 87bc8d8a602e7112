import { describe, expect, it } from '@jest/globals';
import { fenceOf } from '../../../lib/protocol/fence-of-token.js';

/** Spec 10. */
describe('fenceOf', () => {
  it('reads the first half', () => {
    expect(fenceOf('0001a3f217b3c4d87f3c1f2b3e9a8d6e')).toBe(0x0001a3f217b3c4d8n);
    expect(fenceOf('f'.repeat(32))).toBe(2n ** 64n - 1n);
    expect(fenceOf('0'.repeat(32))).toBe(0n);
  });

  it.each([
    '',
    '0001a3f217b3c4d8',
    '0'.repeat(31),
    '0'.repeat(33),
    `${'0'.repeat(32)}\n`,
    `\n${'0'.repeat(32)}`,
    ` ${'0'.repeat(31)}`,
    '0001A3F217B3C4D87F3C1F2B3E9A8D6E',
    '0x01a3f217b3c4d87f3c1f2b3e9a8d6e',
    'g001a3f217b3c4d87f3c1f2b3e9a8d6e',
    '０001a3f217b3c4d87f3c1f2b3e9a8d6e',
  ])('reads nothing from %j', (token) => {
    expect(fenceOf(token)).toBeUndefined();
  });
});
