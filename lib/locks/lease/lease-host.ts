import type { LockBackend } from '../../backends/backend.js';
import type { LossReason, ServerDrainingError } from '../../common/errors.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { ClockWatch } from './clock-watch.js';
import type { LeaseAlarms } from './lease-alarms.js';
import type { RenewalQueue } from './renewal-queue.js';

/** Receives the events of a lease, in the turn in which they happen. */
export interface HolderOf<L> {
  renewed(leaseMs: Ms): void;
  /** The server drains: there are no more renewals, and the lock lasts until its lease or connection ends (rule 9). */
  draining(error: ServerDrainingError): void;
  /** Final. The grant has been abandoned. */
  lost(lease: L, reason: LossReason, cause: Error | undefined): void;
}

/** The operations that a lease uses. */
export type LeaseBackend = Pick<LockBackend, 'renew' | 'renewAll' | 'abandon' | 'onSuspect'>;

/** Shared by all leases of a client. */
export interface HostOf<L> {
  readonly backend: LeaseBackend;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly times: LeaseAlarms;
  readonly watch: ClockWatch;
  readonly renewals: RenewalQueue;
  /** How long after its start a lease is renewed. */
  renewAfter(leaseMs: Ms): Ms;
  /** Called by the lease itself when it has ended. */
  forget(lease: L): void;
}

/** Whether a lease renews itself, or only on request: the option `autoRenew`. */
export type Renewals = 'auto' | 'manual';

export const NOBODY: HolderOf<unknown> = { renewed: () => undefined, draining: () => undefined, lost: () => undefined };
