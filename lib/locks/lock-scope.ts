import { ConfigError, type LockLostError } from '../common/errors.js';
import { show } from '../common/shown.js';
import type { Clock, Ms } from '../common/system.js';
import { isLazy, started } from '../common/thenables.js';
import { runWithLock } from './handle/current-lock.js';
import type { Hold, LockEntry } from './handle/hold.js';
import type { Holds } from './handle/holds.js';
import type { LockHandle } from './handle/lock-handle.js';
import { type HoldTimes, keepForMinimum } from './handle/minimum-hold.js';
import { NO_OPTIONS } from './acquire/checked-acquire.js';
import { checkObject, wrong } from '../common/option-checks.js';
import type { AcquireOptions } from './acquire/acquire-options.js';

export interface ScopeOptions extends AcquireOptions {
  /**
   * Minimum time, in seconds after the acquire, for which the lock is kept even if the body settles earlier. Default 0.
   * On dflockd it ends with the process, as every lock there does.
   */
  minHoldS?: number | undefined;
  /**
   * Seconds after the grant (with several keys: the last grant) at which the body loses its lock (reason `overdue`):
   * above 0, at least `minHoldS`. `signal` aborts, and the lock is free a second later, or as soon as the body settles.
   * Default: `maxHoldS` of the client. A body that joins a lock (`onNested`) has the limit of that lock; its own is
   * ignored.
   */
  maxHoldS?: number | undefined;
}

/** Options of `withLock` on a client and on DflockdService. */
export interface LockBodyOptions extends ScopeOptions {
  /**
   * `throw` (default): withLock rejects if the lock is lost while the body runs. `ignore`: only the events report it.
   */
  onLost?: 'throw' | 'ignore' | undefined;
}

/** @throws ConfigError */
export function checkOnLost(value: unknown): void {
  if (value !== 'throw' && value !== 'ignore') throw wrong('onLost', "'throw' or 'ignore'", value);
}

/**
 * Checks the arguments of withLock after the key, which JavaScript callers may pass in the wrong order.
 * @throws ConfigError
 */
export function checkWork<O extends object, F>(
  args: readonly [fn: F] | readonly [options: O | undefined, fn: F],
): [O, F] {
  const [options, fn]: readonly unknown[] = args.length === 1 ? [undefined, args[0]] : args;
  if (typeof fn !== 'function') {
    throw new ConfigError(`withLock(key, options, fn): expected a function as the last argument, got ${show(fn)}`);
  }
  return [(options === undefined ? NO_OPTIONS : checkObject('options', options)) as O, fn as F];
}

/**
 * The result of work that has succeeded, once LockScope.leave() has returned.
 * @throws the loss, with the value in it, if the lock was lost under the work
 */
export function resultAfter<R>(loss: LockLostError | undefined, onLost: 'throw' | 'ignore', value: R): R {
  if (loss && onLost === 'throw') {
    loss.settle({ value });
    throw loss;
  }
  return value;
}

/** @throws an error that refuses the result */
export type ResultCheck = (result: unknown) => void;

/** A held lock around a piece of work (a body), until its release. */
export class LockScope {
  private readonly since: Ms;
  private readonly entry: LockEntry;
  private leaving: Promise<LockLostError | undefined> | undefined;

  /** @internal */
  constructor(
    private readonly held: Hold,
    private readonly holds: Holds,
    clock: Clock,
    private readonly times: HoldTimes,
    /** Checks what parts return. */
    private readonly check?: ResultCheck,
  ) {
    this.since = clock.now();
    this.entry = { lock: held };
    holds.enter(held);
    if (times.maxHoldMs !== Infinity) held.limitTo(times.maxHoldMs);
  }

  get lock(): LockHandle {
    return this.held;
  }

  /**
   * Runs a part of the work with the lock as `currentLock()`; may be called any number of times. If the part returns a
   * query that starts on its `then()`, it is started under the lock, and a promise of its result is returned.
   * @throws ConfigError, or returns a promise that rejects with it, if the part returned something still active (a
   * stream, an Observable, …), as in `withLock`. The lock is still held.
   */
  run<R>(part: () => R): R {
    const returned = runWithLock(this.entry, part);
    const result = isLazy(returned) ? runWithLock(this.entry, () => started(returned)) : returned;
    if (!this.check) return result;
    const checked = <T>(value: T): T => {
      this.check!(value);
      return value;
    };
    return (result instanceof Promise ? result.then(checked) : checked(result)) as R;
  }

  /** The loss, once it has been declared. */
  get loss(): LockLostError | undefined {
    return this.held.loss;
  }

  /** Calls back once when the lock is lost, or at once if it has been. Returns a function that unsubscribes. */
  onLoss(listener: (loss: LockLostError) => void): () => void {
    return this.held.onLoss(listener);
  }

  /** Waits until any doubt about the lock is settled; the work continues. Returns the loss if there is one. */
  settle(): Promise<LockLostError | undefined> {
    return this.held.settle();
  }

  /**
   * Releases the lock when the work has settled. Returns the loss if it had been lost before. Idempotent; never
   * rejects.
   */
  leave(): Promise<LockLostError | undefined> {
    return (this.leaving ??= this.end());
  }

  private async end(): Promise<LockLostError | undefined> {
    this.entry.lock = undefined;
    try {
      const loss = await this.held.settle();
      if (loss) {
        // An overdue lock still has a last lease to release.
        void this.held.release();
        return loss;
      }
      keepForMinimum(this.held, this.since, this.times);
      await this.held.release();
      return undefined;
    } finally {
      this.holds.leave(this.held);
    }
  }
}
