/**
 * Text on the wire is bytes, not characters (spec 1.3). Inside lib a byte string is a JavaScript string with one
 * character U+0000–U+00FF for each byte ("latin1"): it compares as bytes do, and nothing is ever normalised.
 */

/** Whether every byte, or character, is ASCII and so stands for itself in UTF-8. */
export const isAscii = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
};

/** The UTF-8 bytes of a text, as a byte string. */
export const toBytes = (text: string): string => (isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1'));

/** A text from its UTF-8 bytes; what is not UTF-8 becomes U+FFFD. */
export const fromBytes = (bytes: string): string =>
  isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');

/**
 * A copy with memory of its own. A slice of a received chunk keeps the whole chunk alive, so text that is stored, such
 * as a key, must be copied.
 */
export const ownBytes = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('latin1');

/**
 * White space as the server sees it (spec 1.3): the Unicode property White_Space, in UTF-8. U+0085 counts, U+FEFF does
 * not, so neither `trim` nor `\s` will do.
 */
const SPACE =
  '(?:[\\t-\\r ]|\\xC2[\\x85\\xA0]|\\xE1\\x9A\\x80|\\xE2\\x80[\\x80-\\x8A\\xA8\\xA9\\xAF]|\\xE2\\x81\\x9F|\\xE3\\x80\\x80)';
const LEADING = new RegExp(`^${SPACE}+`);
const SPACES = new RegExp(`${SPACE}+`);

/** Whether a byte may be or begin white space; almost no argument has such a byte. */
export const maySpace = (code: number): boolean => code <= 0x20 || code >= 0xc2;

const plain = (bytes: string): boolean => {
  for (let i = 0; i < bytes.length; i++) if (maySpace(bytes.charCodeAt(i))) return false;
  return true;
};

const isSpace = new RegExp(`^${SPACE}$`);

/** Removes white space at both ends, in linear time even for hostile input. */
export function trimBytes(bytes: string): string {
  if (plain(bytes)) return bytes;
  const text = bytes.replace(LEADING, '');
  let end = text.length;
  for (;;) {
    let width = 0;
    for (let n = 1; n <= 3 && width === 0; n++) if (end >= n && isSpace.test(text.slice(end - n, end))) width = n;
    if (width === 0) return text.slice(0, end);
    end -= width;
  }
}

/** Words separated by single spaces: what well-behaved clients send. */
const WORDS = /^[!-\x7f]+(?: [!-\x7f]+)*$/;

/** The fields between runs of white space; none for a blank line. */
export function splitFields(bytes: string): string[] {
  if (bytes === '') return [];
  if (plain(bytes)) return [bytes];
  if (WORDS.test(bytes)) return bytes.split(' ');
  return bytes.split(SPACES).filter((field) => field !== '');
}
