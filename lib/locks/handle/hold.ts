import type { AcquireRequest } from '../../backends/backend.js';
import type { LockLostError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { Renewals } from '../lease/lease-host.js';
import type { LockEvent, LockNotice } from '../events/events.js';
import type { LockHandle } from './lock-handle.js';

/** A call of a method that a lock decorator wraps. */
export interface LockedCall {
  readonly self: unknown;
  /** The method that the decorator is applied to. */
  readonly method: { readonly prototype: object; readonly property: string | symbol };
  /** `onNested: 'join'`: the call joins the hold of an override that calls this method as its `super`. */
  readonly joins: boolean;
}

/** The current lock of some code. */
export interface LockEntry {
  /**
   * Undefined once the lock is over for that code. Promises and timers retain their context, which must not retain the
   * lock.
   */
  lock: Hold | undefined;
}

/** A lock that code runs under, and the locks around it. */
export interface LockContext {
  readonly entry: LockEntry;
  /** Unlinked once its lock is over. */
  outer: LockContext | undefined;
}

/** Where a lock was requested. */
export interface Origin {
  /** The locks that the caller runs under. */
  readonly around: LockContext | undefined;
  /** The locked method, if a decorator requested the lock. */
  readonly call: LockedCall | undefined;
}

/** The internal view of a LockHandle: a lock of its own, or a part of a held one. */
export interface Hold extends LockHandle {
  /** The loss, once it has been declared. */
  readonly loss: LockLostError | undefined;
  /**
   * Calls back once, in the turn of the loss, or at once if it has been declared. Returns a function that unsubscribes.
   */
  onLoss(listener: (loss: LockLostError) => void): () => void;
  readonly call: LockedCall | undefined;
  /** The lock has been released, or its release has begun. */
  readonly isReleased: boolean;
  /** Whether it concerns that key, as a lock or as a semaphore of that limit; even if it is over. */
  names(req: AcquireRequest): boolean;
  /** Whether it concerns that key, is live, and is not being released. */
  covers(req: AcquireRequest): boolean;
  /** Creates a part of this hold for some of its keys. The hold is released only after its parts are. */
  join(keys: readonly string[], origin: Origin): Hold;
  /**
   * Keeps the lock taken until then, even after its release. Where a connection owns the lock, that connection stays
   * open until then; if the client closes earlier, the lock is released earlier.
   */
  keepUntil(time: Ms): void;
  /**
   * The holder loses the lock this long after the grant (`maxHoldS`); with several keys, after the last grant. A part
   * has no limit of its own.
   */
  limitTo(maxHoldMs: Ms): void;
  /** Waits until any doubt about the lock is settled, and returns the loss if there is one. */
  settle(): Promise<LockLostError | undefined>;
}

/** What a hold starts with. */
export interface HoldStart extends Origin {
  /** As the caller wrote them, in the order of the leases. */
  readonly keys: readonly string[];
  readonly waitedMs: Ms;
  readonly since: Ms;
  readonly renewals: Renewals;
}

/** What a hold reports to. */
export interface HoldObserver {
  /** Whether `events$` has subscribers. */
  readonly observed: boolean;
  emit(event: LockEvent): void;
  notice(event: LockNotice): void;
  /** The hold is over, by release or by loss. Called once. */
  ended(hold: Hold): void;
}
