import { createHash } from 'node:crypto';

/** Bytes of `#` and a SHA-256 in hex. */
export const HASH_BYTES = 65;

/**
 * A key of at most `maxBytes` bytes of UTF-8, such as the 256 of dflockd. A longer one is cut at a character boundary
 * and ends with `#` and the SHA-256 of the whole in hex: of 256 bytes, 191 stay readable.
 */
export function hashLongKey(whole: string, maxBytes: number): string {
  // A UTF-16 code unit takes at most three bytes.
  if (whole.length * 3 <= maxBytes || Buffer.byteLength(whole) <= maxBytes) return whole;
  const bytes = Buffer.from(whole);
  let end = maxBytes - HASH_BYTES;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}#${createHash('sha256').update(bytes).digest('hex')}`;
}
