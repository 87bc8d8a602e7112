import { crc64 } from './crc64.js';

/** Length of a record, and of the slot it is written to. */
export const RECORD_BYTES = 32;
const SLOTS = 2;
export const JOURNAL_BYTES = SLOTS * RECORD_BYTES;
/** The oldest form of the file: the ceiling and nothing else. */
const LEGACY_BYTES = 8;

const MAGIC = Buffer.from('dflfnc1\n', 'latin1');
const SUMMED = 24;
export const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

/** A record of the file: fences up to the ceiling may have been issued. */
export interface FenceRecord {
  /** Counts the records from 1; the highest one is valid. */
  readonly sequence: bigint;
  readonly ceiling: bigint;
}

/** The newest record, and the slot it is in. */
export interface FoundRecord extends FenceRecord {
  readonly slot: number;
}

/** What a new file is treated as. */
export const NO_RECORD: FoundRecord = { sequence: 0n, ceiling: 0n, slot: 1 };

/** The bytes of a record (spec 10.1). */
export function encodeRecord({ sequence, ceiling }: FenceRecord): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES);
  MAGIC.copy(bytes);
  bytes.writeBigUInt64BE(sequence, 8);
  bytes.writeBigUInt64BE(ceiling, 16);
  bytes.writeBigUInt64BE(crc64(bytes.subarray(0, SUMMED)), SUMMED);
  return bytes;
}

function decodeRecord(bytes: Buffer): FenceRecord | undefined {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (bytes.readBigUInt64BE(SUMMED) !== crc64(bytes.subarray(0, SUMMED))) return undefined;
  const sequence = bytes.readBigUInt64BE(8);
  return sequence === 0n ? undefined : { sequence, ceiling: bytes.readBigUInt64BE(16) };
}

/** Eight bytes that can be typed are a text, not a number of nanoseconds. */
const isText = (bytes: Buffer): boolean => bytes.every((byte) => /[\t\n\r\x20-\x7e]/.test(String.fromCharCode(byte)));

/**
 * The newest record in a file.
 * @param content its first 64 bytes
 * @returns a string if there is none: what is wrong with the file
 */
export function readJournal(content: Buffer, length = content.length): FoundRecord | string {
  if (length === 0) return NO_RECORD;
  if (length === LEGACY_BYTES) {
    if (isText(content)) return 'it contains text: it is not a fence state file';
    // As if it were a record in the first slot: the next one is written behind it.
    return { sequence: 1n, ceiling: content.readBigUInt64BE(), slot: 0 };
  }
  if (length !== RECORD_BYTES && length !== JOURNAL_BYTES) {
    return `it has ${length.toLocaleString('en-US')} bytes, a fence state file has 32 or 64`;
  }
  let newest: FoundRecord | undefined;
  for (let slot = 0; slot * RECORD_BYTES < length; slot++) {
    const record = decodeRecord(content.subarray(slot * RECORD_BYTES, (slot + 1) * RECORD_BYTES));
    if (record && (!newest || record.sequence > newest.sequence)) newest = { ...record, slot };
  }
  return newest ?? 'it contains no valid record: it is damaged, or not a fence state file';
}

/**
 * The record that follows another. It never takes the slot of the one before, which must survive if the write of this one
 * is torn.
 */
export function nextRecord({ sequence, slot }: FoundRecord, ceiling: bigint): FoundRecord {
  const next = sequence + 1n;
  const own = Number((next - 1n) % BigInt(SLOTS));
  return own === slot ? { sequence: next + 1n, ceiling, slot: 1 - slot } : { sequence: next, ceiling, slot: own };
}
