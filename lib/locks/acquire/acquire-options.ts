import type { LockHandle } from '../handle/lock-handle.js';
import type { LockTimes } from '../options/options.js';

export interface AcquireOptions extends LockTimes {
  /**
   * Slots, an integer of at least 1. Makes it a semaphore, also with one slot: semaphores have a namespace of their own,
   * so that they do not exclude a lock of the same name. All who use the key must name the same limit.
   */
  limit?: number | undefined;
  /** Ends the wait when it aborts; has no effect on a lock that has been acquired. */
  signal?: AbortSignal | undefined;
  /** Default true. `false`: only `handle.renew()` renews, and the lock is lost when its lease is over. */
  autoRenew?: boolean | undefined;
  /** Default false. `true`: an UnsupportedError instead of a lock without a `fence`. */
  requireFence?: boolean | undefined;
  /**
   * What to do when the calling code already runs under this lock (`withLock`, `@WithLock`): the same client, the same key,
   * one slot.
   * - `'throw'` (default): a NestedLockError at once, instead of waiting for itself. `tryAcquire` returns null. This is
   *   judged by the async context, which may be that of other code: see `currentLock`.
   * - `'wait'`: waits until that lock is released; for tasks that the locked code leaves running.
   * - the handle of a lock: joins that lock, in any context. Its release waits for all code that has joined. Lease, time
   *   limits and renewal are those of the joined lock. It must be a lock of the same client, hold all the keys with the
   *   same `limit`, and not have been released, or it is a ConfigError; a lost lock is a LockLostError.
   */
  onNested?: 'throw' | 'wait' | LockHandle | undefined;
}

/** Options of `enqueue`. */
export interface TicketOptions extends Omit<AcquireOptions, 'onNested'> {
  /** As for `acquire`, but a ticket cannot join a lock. */
  onNested?: 'throw' | 'wait' | undefined;
}
