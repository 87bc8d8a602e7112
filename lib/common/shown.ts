import { kindOf } from './kind-of.js';

/** What messages and logs may show of values that come from outside. */

/** Most characters of a key in a message. */
const MAX_SHOWN = 128;
/** Most keys of a list in a message. */
const MAX_LISTED = 3;

const isLong = (key: string): boolean => key.length > MAX_SHOWN;

/**
 * A key for a message or a log. Line breaks, control characters and quotes are escaped and long keys are cut, because
 * remote users may have chosen them. An object is shown only as its kind.
 */
export function shown(key: unknown): string {
  if ((typeof key === 'object' && key !== null) || typeof key === 'function') return kindOf(key);
  if (typeof key !== 'string') return shown(String(key));
  if (!isLong(key)) return escaped(key);
  const half = /[\ud800-\udbff]$/;
  return `${escaped(key.slice(0, MAX_SHOWN).replace(half, ''))}… (${key.length} characters)`;
}

/** Several keys for a message: the first few, and how many more there are. */
export function shownList(keys: readonly unknown[]): string {
  const first = keys.slice(0, MAX_LISTED).map(shown).join(', ');
  return keys.length > MAX_LISTED ? `${first} and ${keys.length - MAX_LISTED} more` : first;
}

/** Sets the key of an error. A key too long for messages does not show in loggers, `inspect` and JSON either. */
export function nameKey(error: object, key: string): void {
  // A backend may have frozen it.
  Reflect.defineProperty(error, 'key', { value: key, enumerable: !isLong(key), configurable: true, writable: true });
}

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

/** Most characters of any other value in a message. */
const MAX_CHARACTERS = 80;

/** Matches names of options whose values are secrets. */
const SECRET_NAME = /auth|token|secret|pass|pwd|key|pfx|cred|cert/i;
/** A certificate or a private key in text form. */
const PEM = /-----BEGIN /;

/** Whether an option of that name may hold a secret, even if the name is misspelt. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);

/** The text without user and password of a URL, wherever the URL stands in it. */
const withoutUserInfo = (text: string): string => text.replace(/\/\/[\s\S]*@/g, '//***@');

/** A line of the protocol without the token that releases a lock. */
export const withoutToken = (line: string): string => line.replace(/^(ok|acquired) (?!\{)\S+ /, '$1 *** ');

/** A value on one line, cut if it is long, and without user and password of a URL. */
export function show(value: unknown): string {
  // Often a private key.
  if (ArrayBuffer.isView(value)) return 'bytes';
  const text = withoutUserInfo(typeof value === 'string' ? value : textOf(value));
  if (PEM.test(text)) return 'PEM text';
  const line = typeof value === 'string' ? JSON.stringify(text) : text;
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS - 3)}...` : line;
}

function textOf(value: unknown): string {
  try {
    const text = String(value);
    return text === '' || text === '[object Object]' ? kindOf(value) : text;
  } catch {
    // It cannot be converted to a string.
    return kindOf(value);
  }
}

/** Node's error for options that it refuses, without the values: TLS options are secrets, and Node repeats them. */
export function withoutValues(error: unknown): Error {
  const { message, code } = error as NodeJS.ErrnoException;
  if (!code?.startsWith('ERR_INVALID_ARG')) return error as Error;
  return Object.assign(new TypeError(message.replace(/\s*Received [\s\S]*$/, '')), { code });
}
