import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { LeaseBackend } from '../../locks/lease/lease.js';
import { LeaseKeeper } from '../../locks/lease/lease-keeper.js';

/** However short the lease. */
const MIN_INTERVAL_MS: Ms = 100;
/** Part of the server's read timeout after which a connection says something, whatever the lease (spec 1.5). */
const HEARTBEAT_RATIO = 0.75;

/** Of a reply that says 0: no server grants it. It counts for nothing but the first renewal. */
export const NO_LEASE_MS: Ms = 2 ** 31;

/** Renewals come exactly when the original's come. */
const PUNCTUAL: Entropy = { fill: () => undefined, unit: () => 0 };

/** Keeps the leases of holds, each with a connection of its own, with one timer. */
export class HoldKeeper extends LeaseKeeper<LeaseBackend> {
  /** A quiet connection is renewed at least so often: `ping` is not known to every server (spec 14.3). */
  readonly heartbeatMs: Ms;

  constructor(grants: LeaseBackend, clock: Clock, renewRatio: number, readTimeoutMs: Ms) {
    // The wall clock decides nothing here: a renewal that nobody expects is not allowed.
    super(grants, { ...clock, wall: () => clock.now() }, PUNCTUAL, renewRatio);
    this.heartbeatMs = readTimeoutMs * HEARTBEAT_RATIO;
  }

  override renewAfter(leaseMs: Ms): Ms {
    if (leaseMs === NO_LEASE_MS) return MIN_INTERVAL_MS;
    return Math.min(Math.max(MIN_INTERVAL_MS, super.renewAfter(leaseMs)), this.heartbeatMs);
  }
}
