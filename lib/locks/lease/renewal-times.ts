import type { Proof } from '../../backends/backend.js';
import type { Entropy, Ms } from '../../common/system.js';

/** The default of the option `renewRatio`: a lease is renewed when half of it is over. */
export const DEFAULT_RENEW_RATIO = 0.5;

/** A failed renewal is tried again after this at least. */
const MIN_RETRY_MS = 50;
/** Renewals come earlier by up to this part, never later, so that leases taken together drift apart. */
const JITTER = 0.1;
/** Servers count whole seconds: no default is shorter. */
const MIN_DEFAULT_MS = 1000;

/** How long after it began a lease is renewed: the option `renewRatio`. */
export const renewalDelay = (leaseMs: Ms, renewRatio: number): Ms => leaseMs * renewRatio;

/** @param after how long after it began a lease is renewed */
export function plannedRenewal(validFrom: Ms, after: Ms, entropy: Entropy): Ms {
  const early = 1 - JITTER * entropy.unit();
  return validFrom + after * early;
}

/** When a renewal that failed is tried again: sooner and sooner. */
export const nextAttempt = (now: Ms, sureUntil: Ms): Ms => now + Math.max(MIN_RETRY_MS, (sureUntil - now) / 4);

/**
 * What is sure once a lease of `askMs`, 0: the default, has been asked for. One for less than is left counts from now on: the
 * server may have it, and its answer get lost.
 */
export function shortened(proof: Proof, now: Ms, askMs: Ms): Proof {
  const { validFrom, leaseMs } = proof;
  const least = now + (askMs || MIN_DEFAULT_MS) - validFrom;
  return least < leaseMs ? { validFrom, leaseMs: least } : proof;
}
