import type { Ms } from '../../../common/system.js';
import type { LocalWaiter } from './local-waiter.js';

/** What the leases of a key queue depend on. */
export interface LeaseTerms {
  readonly config: { readonly placeLeaseMs: Ms };
  /** What the server grants where no lease is asked for; 0: not known yet. */
  readonly defaultLeaseMs: Ms;
}

/** The lease that a waiter is to have; 0: the server's default, which is not known. */
export const wantedLease = ({ leaseMs }: Pick<LocalWaiter, 'leaseMs'>, { defaultLeaseMs }: LeaseTerms): Ms =>
  leaseMs || defaultLeaseMs;

/**
 * The lease that a place asks for. A process that is stopped takes its grants with nobody to read them: each costs those
 * behind it one lease. So this one is short, and whoever reads a grant renews it to what is wanted.
 */
export function placeLease(waiter: Pick<LocalWaiter, 'leaseMs'>, terms: LeaseTerms): Ms {
  const { placeLeaseMs } = terms.config;
  return Math.min(wantedLease(waiter, terms) || placeLeaseMs, placeLeaseMs);
}
