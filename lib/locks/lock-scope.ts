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
   * Seconds after the acquire for which the lock is kept at least, even if the body settles earlier. On dflockd it ends
   * with its process, as any lock does there.
   */
  minHoldS?: number | undefined;
  /**
   * Seconds after the grant (of several keys: of the last) at which the body loses its lock (reason `overdue`): above 0, at
   * least `minHoldS`. `signal` aborts, and the lock is free a second later, or as soon as the body settles. Default:
   * `maxHoldS` of the client. A body that joins a lock (`onNested`) has the limit of that lock, and its own is ignored.
   */
  maxHoldS?: number | undefined;
}

/** Options of `withLock` on a client and on DflockdService. */
export interface LockBodyOptions extends ScopeOptions {
  /** `throw` (default): a lock lost under the body makes withLock reject. `ignore`: only the events tell. */
  onLost?: 'throw' | 'ignore' | undefined;
}

/** @throws ConfigError */
export function checkOnLost(value: unknown): void {
  if (value !== 'throw' && value !== 'ignore') throw wrong('onLost', "'throw' or 'ignore'", value);
}

/**
 * What withLock was given behind the key: JavaScript programs may have it in another order.
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
 * What the caller gets once the work has succeeded and LockScope.leave() has returned: the value, or, if the lock was lost
 * under it, the loss with the value in it.
 * @throws the loss
 */
export function resultAfter<R>(loss: LockLostError | undefined, onLost: 'throw' | 'ignore', value: R): R {
  if (loss && onLost === 'throw') {
    loss.settle({ value });
    throw loss;
  }
  return value;
}

/** @throws what refuses the result */
export type ResultCheck = (result: unknown) => void;

/** A lock around a piece of work. */
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
    /** Looks at what parts return. */
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
   * Runs a part of the work with the lock as `currentLock()`; as often as there are parts. A query that begins with its
   * `then()` is begun under the lock, and a promise of its result returned.
   * @throws ConfigError, or returns a promise that rejects with it, if the part returned what goes on by itself (a stream,
   *   an Observable, …), as `withLock` does. The lock is still held.
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

  /** Calls back once when the lock is lost; at once if it has been. Returns how to stop that. */
  onLoss(listener: (loss: LockLostError) => void): () => void {
    return this.held.onLoss(listener);
  }

  /** Waits out a doubt about the lock; the work goes on. Returns the loss if it has been lost. */
  settle(): Promise<LockLostError | undefined> {
    return this.held.settle();
  }

  /**
   * The work has settled: releases the lock. Returns the loss if it had been lost before. Idempotent; never throws.
   */
  leave(): Promise<LockLostError | undefined> {
    return (this.leaving ??= this.end());
  }

  private async end(): Promise<LockLostError | undefined> {
    this.entry.lock = undefined;
    try {
      const loss = await this.held.settle();
      if (loss) {
        // Of an overdue lock something is left.
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
