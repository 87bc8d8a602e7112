import type { LockHandle } from '../handle/lock-handle.js';

/** A place in the queue of a key, taken now and waited for later (two-phase acquire). */
export interface LockTicket {
  readonly keys: readonly string[];
  /** The state of the place: `acquired`, the lock was free; `queued`, others are ahead. Rejects as `wait` does. */
  readonly placed: Promise<'acquired' | 'queued'>;
  /**
   * Waits for the lock, at most `timeoutS` seconds (default: the ticket's `acquireTimeoutS`). Null: not granted yet,
   * and the place is kept. A lock granted while nobody waited can be claimed until its lease ends; it is not renewed
   * before that. Only one call gets the handle.
   * @throws LeaseExpiredError (granted but not claimed in time), NotEnqueuedError (cancelled, or claimed already),
   * PoolExhaustedError (no connection available), LockUnavailableError (the place was lost with its connection), the
   * reason of the signal, ShuttingDownError, ConfigError, or the error that refused the place
   */
  wait(timeoutS?: number): Promise<LockHandle | null>;
  /** Leaves the queue, or releases an unclaimed lock. Idempotent; never rejects. */
  cancel(): Promise<void>;
  /** Plain data: the keys and the state of the place. */
  toJSON(): object;
}
