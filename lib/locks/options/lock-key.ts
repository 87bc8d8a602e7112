import { LockKeyError } from '../../common/errors.js';
import { insteadOf, kindOf } from '../../common/kind-of.js';
import { checkKey, FORBIDDEN, LONE_SURROGATE } from './keys.js';

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
