import { LockKeyError } from '../../common/errors.js';
import { insteadOf, insteadOfText, kindOf } from '../../common/kind-of.js';
import { wrong } from '../../common/option-checks.js';
import { hashLongKey } from '../../common/hashed-key.js';
import { shown, shownList } from '../../common/shown.js';

/** Forbidden in keys: white space and control characters, including those of Unicode. */
export const FORBIDDEN = /[\p{White_Space}\p{Cc}]/u;
/** Forbidden too: halves of surrogate pairs have no encoding, so different keys would become the same. */
export const LONE_SURROGATE = /\p{Cs}/u;

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
 * The key as it is sent to the server: `namespace + ':' + key`. `hashLongKey` in common/hashed-key.ts cuts one that is
 * longer than the backend allows and appends its SHA-256.
 * @param maxBytes Infinity: no limit
 * @throws LockKeyError
 */
export function wireKey(namespace: string | undefined, key: unknown, maxBytes: number): string {
  checkKey(key);
  return hashLongKey(namespace === undefined ? key : `${namespace}:${key}`, maxBytes);
}
