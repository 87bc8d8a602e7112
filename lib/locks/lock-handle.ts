import type { Ms } from '../common/system.js';
import type { HeldGrant } from './events.js';

/** A lock, or several, while held. Renewed in the background until released or lost. */
export interface LockHandle extends AsyncDisposable {
  readonly keys: readonly string[];
  /** How long the acquire took. */
  readonly waitedMs: Ms;
  readonly grants: readonly HeldGrant[];
  /** Of the only key; with several keys that of the first. */
  readonly token: string;
  /** A number that rises with each grant of the key, where the backend has such a thing; undefined with several keys. */
  readonly fence?: bigint;
  /** Judged by the monotonic clock at the moment of reading: never true for longer than the server keeps the lock. */
  readonly isHeld: boolean;
  /** For how long the lock is surely held if nothing more is heard from the server; 0 when not held. */
  readonly remainingMs: Ms;
  /** Aborts at the moment of loss, with a LockLostError (or ServerDrainingError) as its reason. Made when first read. */
  readonly signal: AbortSignal;
  /** @throws LockLostError if the lock is not held any more. */
  assertHeld(): void;
  /**
   * Renews now, with another lease if given (seconds, kept for later renewals), and returns the milliseconds until
   * which the lock is sure.
   * @throws LockLostError
   */
  renew(leaseTtlS?: number): Promise<Ms>;
  /** Idempotent; never throws. False: the lock had been lost before. */
  release(): Promise<boolean>;
  /** Plain data, fences as strings: a handle in a response is not an error. */
  toJSON(): object;
}
