import { LockError } from '../../common/errors.js';
import { insteadOf, kindOf } from '../../common/kind-of.js';
import { show } from '../../common/shown.js';

/**
 * The checks of the original, and no more: the server checks spaces, lengths and other characters. As in the original,
 * the errors are plain LockErrors.
 */

/** LF and CR would end the line. NUL is refused too, as in the original. */
const BREAKS = /[\0\n\r]/;

const shown = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  return typeof value === 'object' ? kindOf(value) : show(value);
};

/** The auth token of a server, and the token of a hold, which is enough to release the lock. */
const SECRETS = ['auth', 'token'];

function got(name: string, value: unknown): string {
  if (SECRETS.includes(name)) return '';
  return `, got ${shown(value)}${name === 'key' ? insteadOf(value) : ''}`;
}

/** Checks text that may be empty: `auth`, a group. */
export function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw new LockError(`${name} must be a string${got(name, value)}`);
  if (BREAKS.test(value)) throw new LockError(`${name} must not contain NUL, LF or CR${got(name, value)}`);
}

/** Checks text that must not be empty: a key, channel, pattern, token or payload. */
export function checkName(name: string, value: unknown): void {
  if (value === '') throw new LockError(`${name} must not be empty`);
  checkText(name, value);
}

const isWhole = (value: unknown, least: number): boolean => Number.isInteger(value) && (value as number) >= least;

/** Checks seconds to wait. */
export function checkWait(name: string, value: unknown): void {
  if (!isWhole(value, 0)) throw new LockError(`${name} must be an integer >= 0, got ${shown(value)}`);
}

/** Checks a lease in seconds, or a limit. */
export function checkCount(name: string, value: unknown): void {
  if (!isWhole(value, 1)) throw new LockError(`${name} must be an integer >= 1, got ${shown(value)}`);
}

export function checkLease(value: unknown): void {
  if (value !== undefined) checkCount('leaseTtlS', value);
}

export function checkRatio(value: unknown): void {
  if (typeof value !== 'number' || !(value > 0 && value < 1)) {
    throw new LockError(`renewRatio must be a number between 0 and 1, exclusive, got ${shown(value)}`);
  }
}
