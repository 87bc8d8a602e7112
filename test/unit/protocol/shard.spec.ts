import { crc32 as zlibCrc32 } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { toBytes } from '../../../lib/protocol/bytes.js';
import { crc32, shardOf } from '../../../lib/protocol/shard.js';

/** key, CRC-32, index of 2, 3, 4, 5, 7 and 16 servers (spec 11). */
const VECTORS: [string, string, number[]][] = [
  ['', '00000000', [0, 0, 0, 0, 0, 0]],
  ['a', 'e8b7be43', [1, 0, 3, 2, 4, 3]],
  ['my-key', 'd6e33ac1', [1, 2, 1, 2, 1, 1]],
  ['my-job', 'a7ab7190', [0, 1, 0, 0, 6, 0]],
  ['hello world', '0d4a1185', [1, 0, 1, 2, 5, 5]],
  ['ключ', '0caf961a', [0, 0, 2, 3, 1, 10]],
  ['🔒', '5a418b00', [0, 0, 0, 4, 6, 0]],
];

describe('shards (spec 11)', () => {
  it.each(VECTORS)('"%s" has the CRC %s and the places %j', (key, crc, places) => {
    expect(crc32(toBytes(key)).toString(16).padStart(8, '0')).toBe(crc);
    expect([2, 3, 4, 5, 7, 16].map((n) => shardOf(key, n))).toEqual(places);
  });

  it('agree with zlib', () => {
    // Not in the oldest Node that is supported.
    if (typeof zlibCrc32 !== 'function') return;
    for (let i = 0; i < 1000; i++) expect(crc32(toBytes(`ключ-${i}`))).toBe(zlibCrc32(`ключ-${i}`));
  });

  it('are all of one server where there is only one', () => {
    expect(VECTORS.map(([key]) => shardOf(key, 1))).toEqual(VECTORS.map(() => 0));
  });
});
