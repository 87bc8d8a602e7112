import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { lockIdOf } from '../../../../lib/backends/postgres/ids/lock-id.js';

describe('the id of a key in Postgres', () => {
  // select ('x' || encode(substr(sha256(convert_to('dflockd:lock:' || key, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
  it.each([
    ['lock', 'account:7', -4113936301733423615n],
    ['sem', 'account:7', -1190247639258099404n],
    ['lock', 'app:ключ-🔑', 6730451103048013624n],
  ] as const)('of the %s %s is the one that SQL computes', (kind, key, id) => {
    expect(lockIdOf(kind, key)).toBe(id);
  });

  it('is a signed 64-bit integer from the first eight bytes of the hash', () => {
    for (let i = 0; i < 200; i++) {
      const id = lockIdOf('lock', `key:${i}`);
      const hex = createHash('sha256').update(`dflockd:lock:key:${i}`).digest('hex').slice(0, 16);
      expect(BigInt.asUintN(64, id)).toBe(BigInt(`0x${hex}`));
      expect(BigInt.asIntN(64, id)).toBe(id);
    }
  });
});
