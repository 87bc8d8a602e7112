import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  MAX_PUBLISHED,
  numberOf,
  publishedId,
  publishedNumber,
} from '../../../../../lib/backends/postgres/ids/published-id.js';
import { hasHeldSlot, isHeld } from '../../../../../lib/backends/postgres/inspection.js';

const bytesOf = (text: string): Buffer => createHash('sha256').update(text).digest();

describe('a number that processes publish under a name', () => {
  it('is an advisory lock of two integers: the name and eleven bits of it, and the number', () => {
    for (let i = 0; i < 100; i++) {
      const bytes = bytesOf(`dflockd:limit:key${i}`);
      const { classId, objectId } = publishedId(`limit:key${i}`, i);
      expect(classId).toBe(bytes.readInt32BE(0));
      expect(objectId >> 20).toBe(bytes.readUInt16BE(4) >> 5);
      expect(publishedNumber(objectId)).toBe(i);
    }
  });

  it('has twenty bits, so that the id is a positive integer of Postgres', () => {
    expect(MAX_PUBLISHED).toBe(1_048_575);
    for (let i = 0; i < 100; i++) {
      const { objectId } = publishedId(`limit:key${i}`, MAX_PUBLISHED);
      expect(objectId).toBeGreaterThanOrEqual(MAX_PUBLISHED);
      expect(objectId).toBeLessThan(2 ** 31);
      expect(publishedNumber(objectId)).toBe(MAX_PUBLISHED);
    }
  });

  it('may stand for a text', () => {
    for (let i = 0; i < 100; i++) expect(numberOf(`table${i}`)).toBe(bytesOf(`table${i}`).readUInt32BE(0) >>> 12);
  });
});

describe('what is asked of pg_locks', () => {
  it.each([
    [7n, ['0', '7', 1]],
    [-1n, ['4294967295', '4294967295', 1]],
    [2n ** 32n + 5n, ['1', '5', 1]],
    [[1, 2] as const, [1, 2, 2]],
    [[-1, -2] as const, [4_294_967_295, 4_294_967_294, 2]],
  ])('a lock is named by the unsigned halves of its id, and its space: %p', (id, values) => {
    expect(isHeld(id)[1]).toEqual(values);
  });

  it('a semaphore is named by its published limit, whatever it is, and by its gate', () => {
    const { classId, objectId } = publishedId('limit:account:7', 0);
    expect(hasHeldSlot('account:7')[1]).toEqual([classId, objectId, String(-1190247639258099404n + 2n ** 64n)]);
  });
});
