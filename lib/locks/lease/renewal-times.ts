import type { Proof } from '../../backends/backend.js';
import type { Entropy, Ms } from '../../common/system.js';

/** The default of the option `renewRatio`: leases are renewed at half time. */
export const DEFAULT_RENEW_RATIO = 0.5;

/** Minimum delay before a failed renewal is retried. */
const MIN_RETRY_MS = 50;
/** Renewals come earlier by up to this fraction, never later, so that leases acquired together drift apart. */
const JITTER = 0.1;
/** Servers count whole seconds, so no default is shorter. */
const MIN_DEFAULT_MS = 1000;

/** How long after its start a lease is renewed: the option `renewRatio`. */
export const renewalDelay = (leaseMs: Ms, renewRatio: number): Ms => leaseMs * renewRatio;

/** @param after how long after its start a lease is renewed */
export function plannedRenewal(validFrom: Ms, after: Ms, entropy: Entropy): Ms {
  const early = 1 - JITTER * entropy.unit();
  return validFrom + after * early;
}

/** When a failed renewal is retried, at ever shorter intervals. */
export const nextAttempt = (now: Ms, sureUntil: Ms): Ms => now + Math.max(MIN_RETRY_MS, (sureUntil - now) / 4);

/**
 * The lease that is certain once one of `askMs` (0: the default) has been requested. If that is shorter than what remains, it
 * counts from now on: the server may have applied it even if its reply is lost.
 */
export function certainLease({ validFrom, leaseMs }: Proof, now: Ms, askMs: Ms): Ms {
  return Math.min(leaseMs, now + (askMs || MIN_DEFAULT_MS) - validFrom);
}
