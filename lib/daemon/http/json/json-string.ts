const BACKSLASH = 0x5c;
const SMALL_U = 0x75;
const REPLACEMENT = 0xfffd;

/** What follows a backslash, and what it stands for. */
const ESCAPES = new Map(
  Object.entries({ '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }).map(
    ([letter, meaning]) => [letter.charCodeAt(0), meaning.charCodeAt(0)],
  ),
);

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x80 && byte <= 0xbf;

/** How many bytes the UTF-8 character has that begins at `at` with a byte from 0x80; 0 if there is none. */
function utf8Length(body: Buffer, at: number, end: number): number {
  const first = body[at]!;
  const second = at + 1 < end ? body[at + 1]! : 0;
  if (!isContinuation(second)) return 0;
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (first < 0xe0 || first > 0xf4 || at + 2 >= end || !isContinuation(body[at + 2])) return 0;
  // Neither overlong, nor a surrogate, nor beyond U+10FFFF.
  if (first <= 0xef) return (first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f) ? 0 : 3;
  if (at + 3 >= end || !isContinuation(body[at + 3])) return 0;
  return (first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f) ? 0 : 4;
}

/** The four digits after `\u`; -1 if they are none. */
function hex4(body: Buffer, at: number, end: number): number {
  if (at + 4 > end) return -1;
  let code = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = body[i]!;
    const lower = byte | 0x20;
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
    if (digit < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}

function writeCharacter(out: Buffer, at: number, code: number): number {
  if (code < 0x80) {
    out[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    out[at] = 0xc0 | (code >> 6);
    out[at + 1] = 0x80 | (code & 0x3f);
    return at + 2;
  }
  if (code < 0x10000) {
    out[at] = 0xe0 | (code >> 12);
    out[at + 1] = 0x80 | ((code >> 6) & 0x3f);
    out[at + 2] = 0x80 | (code & 0x3f);
    return at + 3;
  }
  out[at] = 0xf0 | (code >> 18);
  out[at + 1] = 0x80 | ((code >> 12) & 0x3f);
  out[at + 2] = 0x80 | ((code >> 6) & 0x3f);
  out[at + 3] = 0x80 | (code & 0x3f);
  return at + 4;
}

/**
 * The text between two quotes as a byte string, as Go decodes it: every byte that is not UTF-8, and every escaped half
 * of a surrogate pair, becomes U+FFFD.
 *
 * @returns the place of an escape that is not JSON
 */
export function decodeText(body: Buffer, start: number, end: number): string | number {
  // At most three bytes for each, the replacement character for one that is not UTF-8.
  const out = Buffer.allocUnsafe(3 * (end - start));
  let length = 0;
  let at = start;
  while (at < end) {
    const byte = body[at]!;
    if (byte === BACKSLASH) {
      const plain = ESCAPES.get(body[at + 1]!);
      if (plain !== undefined) {
        out[length++] = plain;
        at += 2;
        continue;
      }
      let code = body[at + 1] === SMALL_U ? hex4(body, at + 2, end) : -1;
      if (code < 0) return at;
      at += 6;
      if (code >= 0xd800 && code <= 0xdfff) {
        const low = body[at] === BACKSLASH && body[at + 1] === SMALL_U ? hex4(body, at + 2, end) : -1;
        const isPair = code <= 0xdbff && low >= 0xdc00 && low <= 0xdfff;
        if (isPair) at += 6;
        code = isPair ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : REPLACEMENT;
      }
      length = writeCharacter(out, length, code);
    } else if (byte < 0x80) {
      out[length++] = byte;
      at++;
    } else {
      const bytes = utf8Length(body, at, end);
      if (bytes === 0) {
        length = writeCharacter(out, length, REPLACEMENT);
        at++;
      } else {
        for (const last = at + bytes; at < last; at++) out[length++] = body[at]!;
      }
    }
  }
  return out.toString('latin1', 0, length);
}
