import type { Owner, Proof } from '../../backends/backend.js';
import { safetyMargin } from '../../common/safety-margin.js';
import type { Ms } from '../../common/system.js';
import type { ClockWatch } from './clock-watch.js';
import { provenBy } from './owners.js';

const leaseIsSureUntil = ({ validFrom, leaseMs }: Proof): Ms => validFrom + leaseMs - safetyMargin(leaseMs);

/**
 * Until when a lock is surely held if nothing more is heard: the lease, less the safety margin, or the connection,
 * whichever ends first. The machine's sleep counts for either term: connections lapse at a server that goes on running
 * just as leases do.
 */
export function sureUntil(proof: Proof, owner: Owner, watch: ClockWatch): Ms {
  const awake = Math.min(leaseIsSureUntil(proof), provenBy(owner));
  const until = awake - watch.sleptSince(proof.validFrom);
  // A backend that does not say how long has granted nothing.
  return Number.isNaN(until) ? -Infinity : until;
}

/** Why a lock is not sure any more: its connection has been silent for too long, or its lease is over. */
export const reasonOfLoss = (proof: Proof, owner: Owner): 'disconnected' | 'expired' =>
  provenBy(owner) < leaseIsSureUntil(proof) ? 'disconnected' : 'expired';
