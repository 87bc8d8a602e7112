/** Promises of other realms and libraries, and queries that begin with their then(), included. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
  typeof (value as { then?: unknown }).then === 'function';

/** Whether it is a thenable other than a promise: queries of some libraries begin with their then(), and anew with each. */
export const isLazy = (result: unknown): result is PromiseLike<unknown> =>
  !(result instanceof Promise) && isThenable(result);

/** A result, or, if it is lazy, a promise of what it gives: it begins here and now, and not where somebody awaits it. */
export function started<R>(result: R): R {
  if (!isLazy(result)) return result;
  return new Promise((resolve, reject) => void result.then(resolve, reject)) as R;
}
