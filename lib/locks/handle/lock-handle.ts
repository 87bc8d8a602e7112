import type { Ms } from '../../common/system.js';
import type { HeldGrant } from '../events/events.js';

/** A lock, or several, while held. Renewed in the background until released or lost. */
export interface LockHandle extends AsyncDisposable {
  /** Several are in the order of their bytes on the wire, in which they were taken, without duplicates. */
  readonly keys: readonly string[];
  /** How long the acquire took. */
  readonly waitedMs: Ms;
  /** One for each key, in their order. */
  readonly grants: readonly HeldGrant[];
  /** Of the only key; with several keys that of the first. */
  readonly token: string;
  /** A number that rises with each grant of the key, where the backend has such a thing; undefined with several keys. */
  readonly fence?: bigint | undefined;
  /**
   * Judged at the moment of reading, by the monotonic clock and by the time for which the machine slept: never true for
   * longer than the server keeps the lock. With several keys: whether all are held.
   */
  readonly isHeld: boolean;
  /** For how long the lock is surely held if nothing more is heard from the server; 0 when not held. */
  readonly remainingMs: Ms;
  /**
   * Aborts at the moment of loss (of several keys: of any), with a LockLostError as its reason. With a ServerDrainingError
   * before that, if the server announces its shutdown: the lock is still held then, but will not be renewed. Made when
   * first read.
   */
  readonly signal: AbortSignal;
  /** @throws LockLostError if the lock is not held any more. */
  assertHeld(): void;
  /**
   * Runs `fn` in the context of this lock and returns its result. Until the lock is released, `currentLock()` in `fn` is
   * this handle, and an acquire of its keys is nested (`onNested`). The outer locks are those around the acquire of this
   * lock, not those of the caller. For functions that other code calls: tasks of a shared queue, listeners. It does not
   * acquire, check or keep the lock.
   */
  run<R>(fn: () => R): R;
  /**
   * Renews now, with another lease if given (seconds, kept for later renewals), and returns the milliseconds until
   * which the lock is sure.
   * @throws LockLostError, LockUnavailableError (no answer; still held as long as isHeld says so), ServerDrainingError,
   *   ConfigError
   */
  renew(leaseTtlS?: number): Promise<Ms>;
  /**
   * Idempotent; never throws. False: the lock had been lost before. Waits for all code that has joined it
   * (`onNested: lock`); several keys are released in reverse order.
   */
  release(): Promise<boolean>;
  /** Plain data, fences as strings: a handle in a response is not an error. */
  toJSON(): object;
}
