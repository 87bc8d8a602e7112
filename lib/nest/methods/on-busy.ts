import { withOrigin } from '../../common/error-origin.js';
import { AcquireTimeoutError, MaxWaitersError, NestedLockError } from '../../common/errors.js';
import type { LockClient } from '../../locks/lock-client.js';
import type { LockKey } from '../../locks/options/options.js';
import { blameArguments } from './compile-key.js';
import type { LockPlan } from './lock-plan.js';

/** A call of a locked method, with the key made from its arguments. */
export interface Call {
  readonly self: unknown;
  readonly args: readonly unknown[];
  readonly key: LockKey;
}

const isBusy = (error: unknown): error is AcquireTimeoutError =>
  error instanceof AcquireTimeoutError || error instanceof MaxWaitersError;

/**
 * What a locked method returns when it did not get its lock: the option `onBusy` decides. A nested call is busy only
 * for `'skip'`.
 * @throws the error, if it does not mean that the lock is busy, or if `onBusy` is `'throw'`
 */
export function resultWhenBusy(
  client: LockClient<unknown>,
  { onBusy }: LockPlan,
  { self, args, key }: Call,
  error: unknown,
): unknown {
  if (onBusy === 'skip' && (isBusy(error) || error instanceof NestedLockError)) {
    client.noteSkipped(key);
    return undefined;
  }
  if (typeof onBusy === 'function' && isBusy(error)) return Reflect.apply(onBusy, self, [error, ...args]);
  // The key was refused because of the arguments: constant keys were checked before.
  throw withOrigin(blameArguments(error), client.origin);
}
