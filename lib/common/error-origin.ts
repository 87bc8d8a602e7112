import { LockError } from './errors.js';
import { shared } from './shared-state.js';

/** Not a field of the error: an error may be frozen, and prints every field that it carries. */
const origins = shared('error-origins', () => new WeakMap<LockError, object>());

/**
 * Notes which client an error comes from, and returns the error. The first note counts, since an error may pass through
 * locked bodies of other clients.
 */
export function withOrigin<E>(error: E, origin: object): E {
  if (error instanceof LockError && !origins.has(error)) origins.set(error, origin);
  return error;
}

/** The client that threw the error; undefined if none did. */
export const originOf = (error: LockError): object | undefined => origins.get(error);
