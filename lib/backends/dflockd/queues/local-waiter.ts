import type { Linked } from '../../../common/linked-list.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Kind, Limit } from '../../../protocol/messages.js';
import type { Lane } from '../lanes/lane.js';

/** What a key queue is for. */
export interface Resource {
  readonly kind: Kind;
  /** As bytes. */
  readonly key: string;
  readonly limit: Limit;
}

/** A lock, as a lane got it. Held at least until validFrom + leaseMs, if the lane lives. */
export interface LaneGrant {
  readonly lane: Lane;
  readonly token: string;
  readonly leaseMs: Ms;
  /** Not later than the server's own start of the lease. */
  readonly validFrom: Ms;
  /**
   * The lease that its waiter wants, 0: the server's default; undefined: the one it has. Who gets the grant renews it to
   * this at once.
   */
  readonly wantedMs?: Ms | undefined;
}

/** A grant that is being made ready for a waiter. */
export interface PendingHandover {
  /** The waiter leaves; the grant is for another one. */
  leave(): void;
}

/** Somebody in a key queue. Has an alarm of its own for its deadline. */
export interface LocalWaiter extends Linked<LocalWaiter> {
  /** May be Infinity. */
  readonly deadline: Ms;
  /** 0: the server's default. */
  readonly leaseMs: Ms;
  /** Renews what it gets, so that a lease for the first moments is enough. Otherwise the key queue renews it first. */
  readonly autoRenew: boolean;
  /** Set by the queue: its place in the order of arrival. */
  arrival: number;
  /** Set by the key queue while a grant is being made ready for this waiter. */
  handover: PendingHandover | undefined;
  /** A place in the server's queue stands for it, or it need not wait for one. May be told more than once. */
  queued(): void;
  /** Is not in the key queue any more. */
  granted(grant: LaneGrant): void;
  /** Is not in the key queue any more. */
  failed(error: LockError): void;
}
