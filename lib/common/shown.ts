/** What messages and logs may show of values that came from outside. */

const MOST_CHARACTERS = 80;

/** Whoever has these names the value a secret. */
const SECRET_NAME = /auth|token|secret|pass|pwd|key|pfx|cred|cert/i;
/** A certificate or a private key in text form. */
const PEM = /-----BEGIN /;

/** Whether an option of that name may hold a secret, misspelt as it may be. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);

/** Without user and password of a URL, wherever in the text it stands. */
export const withoutUserInfo = (text: string): string => text.replace(/\/\/[\s\S]*@/g, '//***@');

/** A line of the protocol without the token that releases a lock. */
export const withoutToken = (line: string): string => line.replace(/^(ok|acquired) (?!\{)\S+ /, '$1 *** ');

/** In one line, not too long, and without user and password of a URL. */
export function show(value: unknown): string {
  // A key, as often as not.
  if (ArrayBuffer.isView(value)) return 'bytes';
  const text = withoutUserInfo(typeof value === 'string' ? value : textOf(value));
  if (PEM.test(text)) return 'PEM text';
  const shown = typeof value === 'string' ? JSON.stringify(text) : text;
  return shown.length > MOST_CHARACTERS ? `${shown.slice(0, MOST_CHARACTERS - 3)}...` : shown;
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    // It has no way to become a string.
    return Object.prototype.toString.call(value);
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
