import { lockMethod } from '../methods/locked-method.wrapper.js';
import type { AnyMethod, KeyOf, LockDecorator, WithLockArgs } from '../methods/with-lock.types.js';

/**
 * Runs the method under a lock: no two calls with the same key run at once, in this process or any other. The upper
 * decorator is the outer one, so put the lock above transactions, retries, timeouts and caches.
 *
 * @param key a template with paths into the arguments (`'order:{0.id}'`); a list of templates, to hold all of them; or
 * a function called with the method's `this` and arguments that returns a key or a list
 * @param options see WithLockOptions
 * @throws ConfigError when the class is defined, if the key or an option cannot work. The method then rejects with
 * AcquireTimeoutError (busy), LockLostError, LockKeyError (a value that cannot be part of a key), NestedLockError (the
 * caller itself holds the key), LockUnavailableError and the other errors of DflockdService.acquire.
 *
 * @example
 * ```ts
 * @WithLock('account:{0}')
 * async withdraw(id: string, amount: number): Promise<void> { … }
 *
 * @WithLock(['account:{0}', 'account:{1}'])
 * async transfer(from: string, to: string, amount: number): Promise<void> { … }
 * ```
 */
export function WithLock<T extends object, M extends AnyMethod, const S extends string>(
  key: KeyOf<T, M, S>,
  ...options: WithLockArgs<M, T>
): LockDecorator<T, M> {
  // The key is compiled in compile-key.ts, and the options are checked in lock-plan.ts.
  return lockMethod('@WithLock', key, options[0]) as LockDecorator<T, M>;
}
