/**
 * A result, or, if it is a thenable other than a promise, a promise of what it gives. Queries of some libraries begin with
 * their then(), and anew with each: it is called once, here and now, and not where somebody awaits the result.
 */
export function started<R>(result: R): R {
  if ((typeof result !== 'object' && typeof result !== 'function') || result === null) return result;
  if (result instanceof Promise) return result;
  const { then } = result as { then?: unknown };
  if (typeof then !== 'function') return result;
  return new Promise((resolve, reject) => Reflect.apply(then, result, [resolve, reject])) as R;
}
