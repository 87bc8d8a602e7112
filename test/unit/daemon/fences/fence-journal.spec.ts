import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { crc64 } from '../../../../lib/daemon/fences/crc64.js';
import { encodeRecord, nextRecord, NO_RECORD, readJournal } from '../../../../lib/daemon/fences/fence-journal.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

const FIRST = hex('64666c666e63310a 0000000000000001 0001a3f217b3c4d8 8739e5d81efe432c');
const SECOND = hex('64666c666e63310a 0000000000000002 0001a3f217c3c4d8 84f6a4d81efe432c');

const uint64 = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });

/** Spec 10.1. */
describe('the journal of a fence state file', () => {
  it('sums up as CRC-64/GO-ISO', () => {
    expect(crc64(Buffer.from('123456789')).toString(16)).toBe('b90956c775a41001');
  });

  it('has the records of the original, byte for byte', () => {
    expect(encodeRecord({ sequence: 1n, ceiling: 0x0001a3f217b3c4d8n })).toEqual(FIRST);
    expect(encodeRecord({ sequence: 2n, ceiling: 0x0001a3f217c3c4d8n })).toEqual(SECOND);
  });

  it.each([
    ['one slot', FIRST, { sequence: 1n, ceiling: 0x0001a3f217b3c4d8n, slot: 0 }],
    ['two slots', Buffer.concat([FIRST, SECOND]), { sequence: 2n, ceiling: 0x0001a3f217c3c4d8n, slot: 1 }],
    ['the older form', hex('0001a3f217b3c4d8'), { sequence: 1n, ceiling: 0x0001a3f217b3c4d8n, slot: 0 }],
    ['nothing', Buffer.alloc(0), NO_RECORD],
  ])('is read from %s', (_, content, record) => {
    expect(readJournal(content)).toEqual(record);
  });

  it.each([
    ['9 bytes', Buffer.alloc(9), 'it has 9 bytes'],
    ['half a slot more', Buffer.concat([FIRST, SECOND.subarray(0, 16)]), 'it has 48 bytes'],
    ['three slots', Buffer.concat([FIRST, SECOND, FIRST]), 'it has 96 bytes'],
    ['zeros', Buffer.alloc(64), 'no valid record'],
    ['text in the length of a journal', Buffer.from('x'.repeat(64)), 'no valid record'],
    ['text in the length of the older form', Buffer.from('foreign\n'), 'it contains text'],
    ['a record with the number 0', encodeRecord({ sequence: 0n, ceiling: 5n }), 'no valid record'],
  ])('is refused: %s', (_, content, why) => {
    expect(readJournal(content)).toEqual(expect.stringContaining(why));
  });

  it('puts record n into slot (n - 1) mod 2', () => {
    let record = NO_RECORD;
    for (let n = 1n; n <= 5n; n++) {
      record = nextRecord(record, n);
      expect(record).toEqual({ sequence: n, ceiling: n, slot: Number((n - 1n) % 2n) });
    }
  });

  it('never writes over the newest record, even if another program has put it into the wrong slot', () => {
    const content = Buffer.concat([SECOND, FIRST]);
    const next = nextRecord(readJournal(content) as typeof NO_RECORD, 0x0001a3f217d3c4d8n);
    expect(next.slot).toBe(1);
    expect(next.sequence).toBeGreaterThan(2n);
  });

  it('survives a write that is torn at any byte, and damage of any one slot', () => {
    fc.assert(
      fc.property(uint64, uint64, fc.uint8Array({ minLength: 32, maxLength: 32 }), (sequence, ceiling, noise) => {
        fc.pre(sequence < 2n ** 64n - 4n && ceiling < 2n ** 64n - 4n);
        const older = nextRecord({ sequence, ceiling, slot: Number((sequence - 1n) % 2n) }, ceiling + 1n);
        const newer = nextRecord(older, ceiling + 2n);
        const before = Buffer.alloc(64);
        for (const record of [older, newer]) encodeRecord(record).copy(before, record.slot * 32);
        const torn = nextRecord(newer, ceiling + 3n);
        const bytes = encodeRecord(torn);
        for (let cut = 0; cut <= 32; cut++) {
          for (const written of [bytes.subarray(0, cut), noise.subarray(0, cut)]) {
            const content = Buffer.from(before);
            content.set(written, torn.slot * 32);
            const { ceiling: read } = readJournal(content) as typeof NO_RECORD;
            // The last bytes of a write may not differ from what was there.
            expect([newer.ceiling, torn.ceiling]).toContain(read);
            if (written.length === 32 && bytes.equals(written)) expect(read).toBe(torn.ceiling);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('notices every flipped bit', () => {
    for (let bit = 0; bit < 256; bit++) {
      const content = Buffer.from(FIRST);
      content[bit >> 3]! ^= 1 << (bit & 7);
      expect(readJournal(content)).toEqual(expect.any(String));
    }
  });
});
