/** Bytes to escape in JSON text, as Go's encoder does. Also matches valid UTF-8, to tell it from other bytes. */
const SPECIAL =
  /[\x00-\x1f"\\<>&]|\xE2\x80[\xA8\xA9]|[\xC2-\xDF][\x80-\xBF]|\xE0[\xA0-\xBF][\x80-\xBF]|\xED[\x80-\x9F][\x80-\xBF]|[\xE1-\xEC\xEE\xEF][\x80-\xBF]{2}|\xF0[\x90-\xBF][\x80-\xBF]{2}|[\xF1-\xF3][\x80-\xBF]{3}|\xF4[\x80-\x8F][\x80-\xBF]{2}|[\x80-\xFF]/g;

const unicode = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;

function escape(found: string): string {
  if (found === '\xE2\x80\xA8') return unicode(0x2028);
  if (found === '\xE2\x80\xA9') return unicode(0x2029);
  if (found.length > 1) return found;
  const code = found.charCodeAt(0);
  if (code >= 0x80) return unicode(0xfffd);
  return found === '<' || found === '>' || found === '&' ? unicode(code) : JSON.stringify(found).slice(1, -1);
}

/**
 * A byte string as JSON text, itself a byte string, as Go's encoder writes it (spec 5): HTML characters and
 * JavaScript's line separators are escaped, a byte that is not UTF-8 becomes an escaped U+FFFD, everything else is raw.
 */
export const quoteBytes = (bytes: string): string => `"${bytes.replace(SPECIAL, escape)}"`;
