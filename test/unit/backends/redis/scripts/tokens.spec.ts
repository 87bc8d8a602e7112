import { describe, expect, it } from '@jest/globals';
import {
  clientId,
  fenceOf,
  isToken,
  memberOf,
  Salts,
  saltOf,
  saltOfMember,
  tokenOf,
} from '../../../../../lib/backends/redis/scripts/token.js';
import { systemEntropy, type Entropy } from '../../../../../lib/common/system.js';

/** Bytes that rise with each fill, so that one can tell when randomness was drawn. */
function countingEntropy(): Entropy & { fills: number } {
  const entropy = {
    fills: 0,
    fill: (bytes: Uint8Array) => void bytes.fill(++entropy.fills),
    unit: () => 0.5,
  };
  return entropy;
}

describe('the id of a client', () => {
  it.each(['x', 'u', 's'] as const)('is the flag %s and nine random digits', (flag) => {
    expect(clientId(flag, systemEntropy)).toMatch(new RegExp(`^${flag}[0-9a-f]{9}$`));
    expect(clientId(flag, systemEntropy)).not.toBe(clientId(flag, systemEntropy));
  });
});

describe('salts', () => {
  it('are sixteen digits, and never the same', () => {
    const salts = new Salts(systemEntropy);
    const seen = new Set(Array.from({ length: 10_000 }, () => salts.next()));
    expect(seen.size).toBe(10_000);
    for (const salt of seen) expect(salt).toMatch(/^[0-9a-f]{16}$/);
  });

  it('cost randomness once, and again when the counter begins anew', () => {
    const entropy = countingEntropy();
    const salts = new Salts(entropy);
    expect(salts.next()).toBe('0101010101000000');
    expect(salts.next()).toBe('0101010101000001');
    for (let i = 2; i < 2 ** 24 - 1; i++) salts.next();
    expect(salts.next()).toBe('0101010101ffffff');
    expect(salts.next()).toBe('0202020202000000');
    expect(entropy.fills).toBe(2);
  });

  it('of two clients differ', () => {
    expect(new Salts(systemEntropy).next()).not.toBe(new Salts(systemEntropy).next());
  });
});

describe('a token', () => {
  const digits = '1795990373526367';
  const salt = '00ff00ff00000001';

  it('is the fence and the salt, and gives both back', () => {
    const token = tokenOf(digits, salt);
    expect(isToken(token)).toBe(true);
    expect(saltOf(token)).toBe(salt);
    expect(fenceOf(token)).toBe(1_795_990_373_526_367_000n);
    expect(fenceOf(digits)).toBe(fenceOf(token));
  });

  it.each([
    '',
    digits,
    salt,
    `${digits}${salt}0`,
    `${digits}${salt.toUpperCase()}`,
    `x${digits.slice(1)}${salt}`,
    `${digits}${salt}\n`,
  ])('is not %j', (text) => {
    expect(isToken(text)).toBe(false);
  });
});

describe('a waiter in a queue', () => {
  it('is client, salt and lease', () => {
    const member = memberOf('x123456789', '00ff00ff00000001', 33_000);
    expect(member).toBe('x12345678900ff00ff0000000133000');
    expect(saltOfMember(member)).toBe('00ff00ff00000001');
  });
});
