import { LockKeyError } from '../../common/errors.js';
import { insteadOf, insteadOfText, kindOf } from '../../common/kind-of.js';
import { wrong } from '../../common/option-checks.js';
import { shortened } from '../../common/shortened.js';
import { shown, shownList } from '../../common/shown.js';

/** Forbidden in keys: white space and control characters, including those of Unicode. */
const FORBIDDEN = /[\p{White_Space}\p{Cc}]/u;
/** Forbidden too: halves of surrogate pairs have no encoding, so different keys would become the same. */
const LONE_SURROGATE = /\p{Cs}/u;

/** @throws LockKeyError */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string') throw new LockKeyError(`a key must be a string, got ${kindOf(key)}${insteadOf(key)}`);
  if (key === '') throw new LockKeyError('a key must not be empty', { key });
  if (isPlain(key)) return;
  if (FORBIDDEN.test(key)) {
    throw new LockKeyError(`the key "${shown(key)}" has white space or a control character${insteadOfText(key)}`, {
      key,
    });
  }
  if (LONE_SURROGATE.test(key)) {
    throw new LockKeyError(`the key "${shown(key)}" has a lone surrogate`, { key });
  }
}

/**
 * Maximum number of keys in one call: each costs work in every process, and a key function may derive them from
 * remote input.
 */
export const MAX_KEYS = 64;

/** @throws LockKeyError for a list without keys, or with too many */
export function checkCount(keys: readonly unknown[]): void {
  if (keys.length === 0) throw new LockKeyError('an empty list of keys');
  if (keys.length <= MAX_KEYS) return;
  throw new LockKeyError(`a call takes at most ${MAX_KEYS} keys, got ${keys.length}: ${shownList(keys)}`);
}

/** @throws ConfigError */
export function checkNamespace(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  try {
    checkKey(value);
  } catch (error) {
    throw wrong('namespace', `text that is allowed in a key (${(error as Error).message})`, value);
  }
  return value;
}

/** Printable ASCII, as almost every key is, needs no further check. */
function isPlain(key: string): boolean {
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f) return false;
  }
  return true;
}

/**
 * The key as it is sent to the server: `namespace + ':' + key`. A key that is longer than the backend allows is cut at
 * a character boundary and ends with `#` and the SHA-256 of the whole in hex: of dflockd's 256 bytes, 191 stay
 * readable.
 * @param maxBytes Infinity: no limit
 * @throws LockKeyError
 */
export function wireKey(namespace: string | undefined, key: unknown, maxBytes: number): string {
  checkKey(key);
  return shortened(namespace === undefined ? key : `${namespace}:${key}`, maxBytes);
}

/** A value that can be part of a key. */
export type KeyValue = string | number | bigint | boolean;

/**
 * The characters of a template's literals that are neither letters nor digits. They separate values, which are escaped
 * accordingly.
 */
export function delimitersOf(literals: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const literal of literals) for (const char of literal) if (!/[\p{L}\p{N}]/u.test(char)) found.add(char);
  return found;
}

/** `%XX` for each UTF-8 byte. */
const percent = (char: string): string =>
  Buffer.from(char).reduce((text, byte) => `${text}%${byte.toString(16).toUpperCase().padStart(2, '0')}`, '');

/**
 * Encodes a value as part of a key. Each `%`, white space, control character and delimiter becomes `%XX` per UTF-8
 * byte, so that different values never produce the same key.
 * @param where names the value in errors
 * @param member how a property of the value is written there
 * @throws LockKeyError for undefined, null, objects, empty strings and numbers that are not finite
 */
export function encodeKeyValue(
  value: unknown,
  delimiters: ReadonlySet<string>,
  where: string,
  member?: (property: string) => string,
): string {
  const text = textOf(value, where, member);
  let encoded = '';
  for (const char of text) {
    encoded += char === '%' || delimiters.has(char) || FORBIDDEN.test(char) ? percent(char) : char;
  }
  return encoded;
}

function textOf(value: unknown, where: string, member?: (property: string) => string): string {
  switch (typeof value) {
    case 'string':
      if (value === '') throw new LockKeyError(`${where} of the key is an empty string`);
      if (LONE_SURROGATE.test(value)) throw new LockKeyError(`${where} of the key has a lone surrogate`);
      return value;
    case 'number':
      if (!Number.isFinite(value)) throw new LockKeyError(`${where} of the key is ${value}`);
      return String(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      throw new LockKeyError(
        `${where} of the key must be a string, number, bigint or boolean, got ${kindOf(value)}${insteadOf(value, member)}`,
      );
  }
}

/**
 * Builds a key from literals and values, like a decorator's template: `` lockKey`order:${id}` `` is the key of
 * `@WithLock('order:{0}')`.
 * @throws LockKeyError for a value that cannot be part of a key, or for two adjacent values
 */
export function lockKey(parts: TemplateStringsArray, ...values: KeyValue[]): string {
  const literals = parts as readonly string[];
  const delimiters = delimitersOf(literals);
  let key = literals[0]!;
  values.forEach((value, i) => {
    if (i > 0 && literals[i] === '') throw new LockKeyError(`values ${i} and ${i + 1} of the key touch`);
    key += encodeKeyValue(value, delimiters, `value ${i + 1}`) + literals[i + 1]!;
  });
  checkKey(key);
  return key;
}
