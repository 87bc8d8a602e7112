import type { AcquireRequest } from '../../backends/backend.js';
import type { LockLostError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { Renewals } from '../lease/lease.js';
import type { LockEvent, LockNotice } from '../events/events.js';
import type { LockHandle } from './lock-handle.js';

/** A call of a method that a decorator has locked. */
export interface LockedCall {
  readonly self: unknown;
  /** Where the decorator stands. */
  readonly method: { readonly prototype: object; readonly property: string | symbol };
  /** `onNested: 'join'`: joins the hold of an override that calls this method as its `super`. */
  readonly joins: boolean;
}

/** A lock as the current one of some code. */
export interface LockEntry {
  /** Undefined once it is over for that code. Promises and timers keep their context, which must not keep the lock. */
  lock: Hold | undefined;
}

/** A lock that code runs under, and the locks around it. */
export interface LockContext {
  readonly entry: LockEntry;
  /** Unlinked once its lock is over. */
  outer: LockContext | undefined;
}

/** Where a lock was asked for. */
export interface Origin {
  /** The locks that the caller runs under. */
  readonly around: LockContext | undefined;
  /** What it was asked for, if by a decorator. */
  readonly call: LockedCall | undefined;
}

/** A handle as those see it who made it: a lock of one's own, or a part in one that is held already. */
export interface Hold extends LockHandle {
  /** The loss, once it has been declared. */
  readonly loss: LockLostError | undefined;
  /** Calls back once, in the turn of the loss; at once if it has been declared. Returns how to stop that. */
  onLoss(listener: (loss: LockLostError) => void): () => void;
  readonly call: LockedCall | undefined;
  /** It has been released, or its release has begun. */
  readonly isReleased: boolean;
  /** Whether it is about that key, as a lock or as a semaphore of that limit; live or not. */
  names(req: AcquireRequest): boolean;
  /** Whether it is live, not being released, and about that key. */
  covers(req: AcquireRequest): boolean;
  /** A part in this hold for some of its keys. The hold is not released before its parts are. */
  join(keys: readonly string[], origin: Origin): Hold;
  /**
   * The release keeps others out until then. Where the lock hangs on a connection, that connection stays until then; where
   * the client closes earlier, the lock is free earlier.
   */
  keepUntil(time: Ms): void;
  /** Its holder loses it so long after the grant (`maxHoldS`); of several keys, after that of the last. A part has no limit of its own. */
  limitTo(maxHoldMs: Ms): void;
  /** Waits out a doubt and returns the loss if there is one. */
  settle(): Promise<LockLostError | undefined>;
}

/** What a hold begins with. */
export interface HoldStart extends Origin {
  /** As the caller wrote them, in the order of the leases. */
  readonly keys: readonly string[];
  readonly waitedMs: Ms;
  readonly since: Ms;
  readonly renewals: Renewals;
}

/** Where a hold reports to. */
export interface HoldObserver {
  /** Whether anybody listens to all events. */
  readonly observed: boolean;
  emit(event: LockEvent): void;
  notice(event: LockNotice): void;
  /** The hold is over, one way or the other; once. */
  ended(hold: Hold): void;
}
