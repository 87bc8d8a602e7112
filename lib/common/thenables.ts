/** Promises of other realms and libraries, and queries that begin with their then(), included. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
  typeof (value as { then?: unknown }).then === 'function';

/**
 * A result, or, if it is a thenable other than a promise, a promise of what it gives. Queries of some libraries begin with
 * their then(), and anew with each: it is called once, here and now, and not where somebody awaits the result.
 */
export function started<R>(result: R): R {
  if (result instanceof Promise || !isThenable(result)) return result;
  return new Promise((resolve, reject) => void result.then(resolve, reject)) as R;
}
