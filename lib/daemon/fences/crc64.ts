/** CRC-64/GO-ISO: the polynomial of ISO 3309 in its reflected form, with all bits inverted before and after. */
const POLYNOMIAL = 0xd800_0000_0000_0000n;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

export function crc64(bytes: Uint8Array): bigint {
  let crc = ALL_ONES;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ POLYNOMIAL : crc >> 1n;
  }
  return crc ^ ALL_ONES;
}
