import type { Ms } from '../../common/system.js';
import type { HeldGrant } from '../events/events.js';

/** A lock, or several, while held. Renewed in the background until it is released or lost. */
export interface LockHandle extends AsyncDisposable {
  /**
   * The keys without duplicates. Several are in the order in which they were acquired: that of their bytes on the wire.
   */
  readonly keys: readonly string[];
  /** How long the acquire took, in milliseconds. */
  readonly waitedMs: Ms;
  /** One per key, in the order of `keys`. */
  readonly grants: readonly HeldGrant[];
  /** The token of the only key; with several keys, of the first. */
  readonly token: string;
  /** A number that rises with each grant of the key, if the backend supports fences; undefined with several keys. */
  readonly fence?: bigint | undefined;
  /**
   * Computed when read, by the monotonic clock and with the time the machine was suspended: never true for longer than
   * the server keeps the lock. With several keys: whether all are held.
   */
  readonly isHeld: boolean;
  /** Milliseconds for which the lock is certain even if nothing more is heard from the server; 0 when not held. */
  readonly remainingMs: Ms;
  /**
   * Aborts when the lock is lost (with several keys: any of them), with a LockLostError as its reason. If the server
   * announces its shutdown before that, it aborts with a ServerDrainingError: the lock is still held then, but will not
   * be renewed. Created when first read.
   */
  readonly signal: AbortSignal;
  /** @throws LockLostError if the lock is no longer held. */
  assertHeld(): void;
  /**
   * Runs `fn` in the context of this lock and returns its result. Until the lock is released, `currentLock()` in `fn`
   * is this handle, and an acquire of its keys is nested (`onNested`). The outer locks are those around the acquire of
   * this lock, not those of the caller. For functions called by other code, such as tasks of a shared queue or
   * listeners. It does not acquire, check or keep the lock.
   */
  run<R>(fn: () => R): R;
  /**
   * Renews now, optionally with a different lease (seconds, kept for later renewals), and resolves with the
   * milliseconds for which the lock is certain.
   * @throws LockLostError, LockUnavailableError (no reply; still held as long as isHeld says so), ServerDrainingError,
   * ConfigError
   */
  renew(leaseTtlS?: number): Promise<Ms>;
  /**
   * Releases the lock. Idempotent; never rejects. Resolves with false if the lock had been lost before. Waits for all
   * code that has joined it (`onNested: lock`). Several keys are released in reverse order.
   */
  release(): Promise<boolean>;
  /** Plain data with fences as strings, so that a handle can be part of a response. */
  toJSON(): object;
}
