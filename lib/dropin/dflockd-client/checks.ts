import { LockError } from '../../common/errors.js';
import { insteadOf, kindOf } from '../../common/kind-of.js';
import { show } from '../../common/shown.js';

/**
 * What the original checks, and no more: spaces, lengths and characters beyond these are left to the server. Its errors are
 * plain LockErrors.
 */

/** They would end a line, or the text of a C program. */
const BREAKS = /[\0\n\r]/;

const shown = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  return typeof value === 'object' ? kindOf(value) : show(value);
};

/** The token of a server, and that of a hold: whoever has it can release the lock. */
const SECRETS = ['auth', 'token'];

function got(name: string, value: unknown): string {
  if (SECRETS.includes(name)) return '';
  return `, got ${shown(value)}${name === 'key' ? insteadOf(value) : ''}`;
}

/** May be empty: `auth`, a group. */
export function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw new LockError(`${name} must be a string${got(name, value)}`);
  if (BREAKS.test(value)) throw new LockError(`${name} must not contain NUL, LF or CR${got(name, value)}`);
}

/** A key, channel, pattern, token or payload. */
export function checkName(name: string, value: unknown): void {
  if (value === '') throw new LockError(`${name} must not be empty`);
  checkText(name, value);
}

const isWhole = (value: unknown, least: number): boolean => Number.isInteger(value) && (value as number) >= least;

/** Seconds to wait. */
export function checkWait(name: string, value: unknown): void {
  if (!isWhole(value, 0)) throw new LockError(`${name} must be an integer >= 0, got ${shown(value)}`);
}

/** A lease in seconds, or a limit. */
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
