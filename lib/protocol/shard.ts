import { toBytes } from './bytes.js';

const TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

/** The CRC-32 (IEEE, as in zlib) of a byte string, unsigned. */
export function crc32(bytes: string): number {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = (c >>> 8) ^ TABLE[(c ^ bytes.charCodeAt(i)) & 0xff]!;
  return (c ^ 0xffffffff) >>> 0;
}

/** The index of the server for a key, unless the client has a strategy of its own: the CRC-32 of its UTF-8 bytes modulo the number of servers (spec 11). */
export const shardOf = (key: string, servers: number): number => crc32(toBytes(key)) % servers;
