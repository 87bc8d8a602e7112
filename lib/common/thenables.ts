/** Whether it has a then(): also promises of other realms and libraries, and queries that start with their then(). */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
  typeof (value as { then?: unknown }).then === 'function';

/** Whether it is a thenable but no promise: queries of some libraries start with their then(), and again with each. */
export const isLazy = (result: unknown): result is PromiseLike<unknown> =>
  !(result instanceof Promise) && isThenable(result);

/** The result or, if it is lazy, a promise of its value: the work starts here, not where the promise is awaited. */
export function started<R>(result: R): R {
  if (!isLazy(result)) return result;
  return new Promise((resolve, reject) => void result.then(resolve, reject)) as R;
}
