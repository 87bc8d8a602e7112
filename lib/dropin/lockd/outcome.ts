import { ConfigError } from '../../common/errors.js';
import { kindOf } from '../../common/kind-of.js';
import { microtask } from '../../common/system.js';
import type { Settle } from './exchanges.js';

/** Called with an error alone, or with null and the values. */
export type LockdCallback<A extends readonly unknown[]> = (error: Error | null, ...values: A) => void;

/**
 * Starts a call. It calls the callback back or, without one, returns a promise of a value. Neither is settled before
 * the call has returned, and what a callback throws is uncaught, but disturbs no other call.
 * @param start its errors are those of the call
 * @throws ConfigError if the callback is not a function
 */
export function outcome<A extends readonly unknown[], T>(
  callback: LockdCallback<A> | undefined,
  valueOf: (...values: A) => T,
  start: (done: Settle<A>) => void,
): Promise<T> | undefined {
  if (callback === undefined) {
    return new Promise<T>((resolve, reject) => {
      begin(start, (error, ...values) => (error ? reject(error) : resolve(valueOf(...(values as unknown as A)))));
    });
  }
  if (typeof callback !== 'function') throw new ConfigError(`a callback must be a function, got ${kindOf(callback)}`);
  begin(start, (error, ...values) => {
    microtask(() =>
      error ? Reflect.apply(callback, undefined, [error]) : callback(null, ...(values as unknown as A)),
    );
  });
  return undefined;
}

function begin<A extends readonly unknown[]>(start: (done: Settle<A>) => void, done: Settle<A>): void {
  try {
    start(done);
  } catch (error) {
    done(error as Error);
  }
}
