import type { LockHandle } from '../handle/lock-handle.js';

/** A place in the queue of a key, taken now and waited for later (two-phase). */
export interface LockTicket {
  readonly keys: readonly string[];
  /** Where the place is: `acquired`, the lock was free; `queued`, others are before it. Rejects as `wait` does. */
  readonly placed: Promise<'acquired' | 'queued'>;
  /**
   * Waits for the lock, in seconds at most `timeoutS` (default: the `acquireTimeoutS` of the ticket). Null: not yet, and
   * the place is kept. A lock that was granted while nobody waited is handed over as long as its lease lasts, for it is
   * not renewed before. One call gets the handle.
   * @throws LeaseExpiredError (granted, and not claimed in time), NotEnqueuedError (cancelled, or claimed already),
   *   PoolExhaustedError (no connection for it), LockUnavailableError (the place is lost with its connection), the reason
   *   of the signal, ShuttingDownError, ConfigError, or the error that refused the place
   */
  wait(timeoutS?: number): Promise<LockHandle | null>;
  /** Leaves the queue, or gives back the lock that nobody has claimed. Idempotent; never throws. */
  cancel(): Promise<void>;
  /** Plain data: the keys, and where the place is. */
  toJSON(): object;
}
