import type { AcquireRequest } from '../backends/backend.js';
import type { LockLostError } from '../common/errors.js';
import type { Ms } from '../common/system.js';
import type { Renewals } from './lease.js';
import type { LockHandle } from './lock-handle.js';

/** A handle as those see it who made it: a lock of one's own, or a part in one that is held already. */
export interface Hold extends LockHandle {
  /** The loss, once it has been declared. */
  readonly loss: LockLostError | undefined;
  /** Calls back once, in the turn of the loss; at once if it has been declared. Returns how to stop that. */
  onLoss(listener: (loss: LockLostError) => void): () => void;
  /** Whether it is live, not being released, and has the only slot of that key. */
  covers(req: AcquireRequest): boolean;
  /** A part in this hold for some of its keys. The hold is not released before its parts are. */
  join(keys: readonly string[]): Hold;
  /**
   * The release keeps others out until then. Where the lock hangs on a connection, that connection stays until then; where
   * the client closes earlier, the lock is free earlier.
   */
  keepUntil(time: Ms): void;
  /** Waits out a doubt and returns the loss if there is one. */
  settle(): Promise<LockLostError | undefined>;
}

/** What a hold begins with. */
export interface HoldStart {
  /** As the caller wrote them, in the order of the leases. */
  readonly keys: readonly string[];
  readonly waitedMs: Ms;
  readonly since: Ms;
  readonly renewals: Renewals;
}
