import type { Ms } from '../../../common/system.js';
import type { LocalWaiter } from './local-waiter.js';

/** What the leases of a key queue depend on. */
export interface LeaseTerms {
  readonly config: { readonly placeLeaseMs: Ms };
  /** What the server grants if no lease is requested; 0: not known yet. */
  readonly defaultLeaseMs: Ms;
}

/** The lease that a waiter wants; 0: the server's default, which is not known. */
export const wantedLease = ({ leaseMs }: Pick<LocalWaiter, 'leaseMs'>, { defaultLeaseMs }: LeaseTerms): Ms =>
  leaseMs || defaultLeaseMs;

/**
 * The lease that a place asks for. A stopped process is still granted locks that it cannot use, and each delays the
 * waiters behind it by one lease. So this lease is short, and a process that reads a grant renews it to the wanted
 * lease.
 */
export function placeLease(waiter: Pick<LocalWaiter, 'leaseMs'>, terms: LeaseTerms): Ms {
  const { placeLeaseMs } = terms.config;
  return Math.min(wantedLease(waiter, terms) || placeLeaseMs, placeLeaseMs);
}
