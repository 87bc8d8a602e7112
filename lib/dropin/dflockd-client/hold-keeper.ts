import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { LeaseBackend } from '../../locks/lease/lease-host.js';
import { LeaseKeeper } from '../../locks/lease/lease-keeper.js';

/** The least time between renewals, however short the lease. */
const MIN_INTERVAL_MS: Ms = 100;
/** The part of the server's read timeout after which a connection sends something, whatever the lease (spec 1.5). */
const HEARTBEAT_RATIO = 0.75;

/** Stands for a lease of 0 in a reply, which no server grants. Only the first renewal uses it: after the least time. */
export const NO_LEASE_MS: Ms = 2 ** 31;

/** No jitter: renewals are sent exactly when the original sends them. */
const PUNCTUAL: Entropy = { fill: () => undefined, unit: () => 0 };

/** Renews the leases of holds, each on a connection of its own, with a single timer. */
export class HoldKeeper extends LeaseKeeper<LeaseBackend> {
  /** The longest time between renewals on a quiet connection: not every server knows `ping` (spec 14.3). */
  readonly heartbeatMs: Ms;

  constructor(grants: LeaseBackend, clock: Clock, renewRatio: number, readTimeoutMs: Ms) {
    // The wall clock has no effect here, because a jump of it must not cause an additional renewal.
    super(grants, { ...clock, wall: () => clock.now() }, PUNCTUAL, renewRatio);
    this.heartbeatMs = readTimeoutMs * HEARTBEAT_RATIO;
  }

  override renewAfter(leaseMs: Ms): Ms {
    if (leaseMs === NO_LEASE_MS) return MIN_INTERVAL_MS;
    return Math.min(Math.max(MIN_INTERVAL_MS, super.renewAfter(leaseMs)), this.heartbeatMs);
  }
}
