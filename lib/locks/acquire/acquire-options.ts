import type { LockHandle } from '../handle/lock-handle.js';
import type { LockTimes } from '../options/options.js';

export interface AcquireOptions extends LockTimes {
  /**
   * Number of slots, an integer of at least 1. Makes the key a semaphore, even with one slot: semaphores have their own
   * namespace and do not exclude a lock of the same name. All users of a semaphore must give the same limit. Default:
   * none; the key is a lock.
   */
  limit?: number | undefined;
  /** Ends the wait when it aborts. Has no effect once the lock is acquired. */
  signal?: AbortSignal | undefined;
  /**
   * Whether to renew the lock in the background. Default true. With `false` only `handle.renew()` renews it, and the
   * lock is lost when its lease ends.
   */
  autoRenew?: boolean | undefined;
  /** Whether to fail with an UnsupportedError if the backend cannot provide a `fence`. Default false. */
  requireFence?: boolean | undefined;
  /**
   * What to do if the calling code already runs under this lock (`withLock`, `@WithLock`): the same client, the same
   * key, one slot.
   * - `'throw'` (default): fails with a NestedLockError at once instead of waiting for itself; `tryAcquire` returns
   *   null. Nesting is judged by the async context, which may be that of other code: see `currentLock`.
   * - `'wait'`: waits until that lock is released; for tasks that the locked code leaves running.
   * - the handle of a lock: joins that lock, in any context. Its release waits for all code that has joined it. Lease,
   *   time limits and renewal are those of the joined lock. It must belong to the same client, hold all the keys with
   *   the same `limit`, and not have been released, or a ConfigError is thrown; if it was lost, a LockLostError.
   */
  onNested?: 'throw' | 'wait' | LockHandle | undefined;
}

/** Options of `enqueue`. */
export interface TicketOptions extends Omit<AcquireOptions, 'onNested'> {
  /** As for `acquire`, but a ticket cannot join a lock. */
  onNested?: 'throw' | 'wait' | undefined;
}
