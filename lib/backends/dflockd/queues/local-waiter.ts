import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Kind, Limit } from '../../../protocol/messages.js';
import type { Waiting } from '../../queues/local-waiters.js';
import type { Lane } from '../lanes/lane.js';

/** What a key queue waits for. */
export interface Resource {
  readonly kind: Kind;
  /** As a byte string. */
  readonly key: string;
  readonly limit: Limit;
}

/** A lock as granted on a lane. Held at least until `validFrom + leaseMs` if the lane lives. */
export interface LaneGrant {
  readonly lane: Lane;
  readonly token: string;
  readonly leaseMs: Ms;
  /** Not later than the server's own start of the lease. */
  readonly validFrom: Ms;
  /**
   * The lease that the waiter wants (0: the server's default), if it differs from the granted one. The waiter renews to
   * it at once.
   */
  readonly wantedMs?: Ms | undefined;
}

/** A grant that is being prepared for a waiter. */
export interface PendingHandover {
  /** The waiter leaves; the grant goes to another. */
  leave(): void;
}

/** A caller that waits in a key queue. It has its own alarm for its deadline. */
export interface LocalWaiter extends Waiting<LocalWaiter> {
  /** 0: the server's default. */
  readonly leaseMs: Ms;
  /** The waiter renews its grant, so a short lease will do at first. Otherwise the key queue renews it beforehand. */
  readonly autoRenew: boolean;
  /** Set by the key queue while a grant is being prepared for this waiter. */
  handover: PendingHandover | undefined;
  /** The waiter has been removed from the key queue. */
  granted(grant: LaneGrant): void;
  /** The waiter has been removed from the key queue. */
  failed(error: LockError): void;
}
