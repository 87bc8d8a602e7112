import { trimBytes } from '../../../protocol/bytes.js';
import { LINE_CAP } from '../../../protocol/limits.js';
import { isPattern } from '../../../protocol/patterns.js';
import { isKey } from '../../../protocol/request-parser.js';

export interface Subscription {
  readonly pattern: string;
  /** Empty: none. */
  readonly group: string;
}

const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/** The bytes of a name or a value in a query; undefined if an escape is malformed. */
function decode(text: string): string | undefined {
  if (BAD_ESCAPE.test(text)) return undefined;
  return text.replaceAll('+', ' ').replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/**
 * The first value of a name in a query, as bytes; undefined if it has none. As in Go, a pair with a malformed escape or
 * a semicolon does not count.
 */
export function firstValue(query: string, name: string): string | undefined {
  for (const pair of query.split('&')) {
    if (pair.includes(';')) continue;
    const equals = pair.indexOf('=');
    if (decode(equals < 0 ? pair : pair.slice(0, equals)) !== name) continue;
    const value = decode(equals < 0 ? '' : pair.slice(equals + 1));
    if (value !== undefined) return value;
  }
  return undefined;
}

/** What a query asks to listen to, or what is wrong with it. */
export function parseSubscription(query: string): Subscription | string {
  const pattern = firstValue(query, 'pattern') ?? '';
  if (pattern === '') return 'pattern is missing or empty';
  if (pattern.length > LINE_CAP) return `pattern is too long: at most ${LINE_CAP} bytes`;
  if (!isKey(pattern)) return 'pattern must not contain a space, a tab or a line break';
  if (!isPattern(pattern)) return 'pattern: `*` must be a whole token, and `>` the whole last token';
  const group = firstValue(query, 'group') ?? '';
  if (group.length > LINE_CAP) return `group is too long: at most ${LINE_CAP} bytes`;
  if (/[\r\n]/.test(group)) return 'group must not contain a line break';
  return { pattern, group: trimBytes(group) };
}
