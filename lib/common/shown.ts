import { kindOf } from './kind-of.js';

/** What messages and logs may show of values that came from outside. */

/** Characters of a key that a message shows. */
const MAX_SHOWN = 128;
/** Keys of a list that a message shows. */
const MAX_LISTED = 3;

const isLong = (key: string): boolean => key.length > MAX_SHOWN;

/**
 * A key for a message or a log: without line breaks, control characters and open quotes, and cut, because remote users may
 * have chosen it. Of an object it says only what it is.
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

/** Gives an error its key. One that messages cut is not written out by loggers, `inspect` and JSON either. */
export function nameKey(error: object, key: string): void {
  // A backend may have frozen it.
  Reflect.defineProperty(error, 'key', { value: key, enumerable: !isLong(key), configurable: true, writable: true });
}

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

/** Characters of any other value that a message shows. */
const MAX_CHARACTERS = 80;

/** Whoever has these names the value a secret. */
const SECRET_NAME = /auth|token|secret|pass|pwd|key|pfx|cred|cert/i;
/** A certificate or a private key in text form. */
const PEM = /-----BEGIN /;

/** Whether an option of that name may hold a secret, misspelt as it may be. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);

/** Without user and password of a URL, wherever in the text it stands. */
const withoutUserInfo = (text: string): string => text.replace(/\/\/[\s\S]*@/g, '//***@');

/** A line of the protocol without the token that releases a lock. */
export const withoutToken = (line: string): string => line.replace(/^(ok|acquired) (?!\{)\S+ /, '$1 *** ');

/** In one line, not too long, and without user and password of a URL. */
export function show(value: unknown): string {
  // A key, as often as not.
  if (ArrayBuffer.isView(value)) return 'bytes';
  const text = withoutUserInfo(typeof value === 'string' ? value : textOf(value));
  if (PEM.test(text)) return 'PEM text';
  const line = typeof value === 'string' ? JSON.stringify(text) : text;
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS - 3)}...` : line;
}

function textOf(value: unknown): string {
  try {
    const text = String(value);
    return text === '[object Object]' ? kindOf(value) : text;
  } catch {
    // It has no way to become a string.
    return kindOf(value);
  }
}

/**
 * What Node says of options that it refuses, without their values: those of TLS are secrets, and Node repeats what it was
 * given.
 */
export function withoutValues(error: unknown): Error {
  const { message, code } = error as NodeJS.ErrnoException;
  if (!code?.startsWith('ERR_INVALID_ARG')) return error as Error;
  return Object.assign(new TypeError(message.replace(/\s*Received [\s\S]*$/, '')), { code });
}
