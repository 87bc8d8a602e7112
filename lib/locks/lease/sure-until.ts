import type { Owner, Proof } from '../../backends/backend.js';
import { safetyMargin } from '../../common/safety-margin.js';
import type { Ms } from '../../common/system.js';
import type { ClockWatch } from './clock-watch.js';

/** Like Owner.provenUntil(). An owner that throws proves nothing. */
function provenBy(owner: Owner): Ms {
  try {
    return owner.provenUntil();
  } catch {
    return -Infinity;
  }
}

const leaseIsSureUntil = ({ validFrom, leaseMs }: Proof): Ms => validFrom + leaseMs - safetyMargin(leaseMs);

/**
 * Time until which a lock is certainly held if nothing more is heard: the end of its lease, less the safety margin, or the
 * time at which the server may close its silent connection, whichever is earlier. A suspension of the machine counts
 * against both: on a server that keeps running, connections expire just as leases do.
 */
export function sureUntil(proof: Proof, owner: Owner, watch: ClockWatch): Ms {
  const awake = Math.min(leaseIsSureUntil(proof), provenBy(owner));
  const until = awake - watch.sleptSince(proof.validFrom);
  // A grant without valid times is not held.
  return Number.isNaN(until) ? -Infinity : until;
}

/** Why a lock is not sure any more: its connection has been silent for too long, or its lease has ended. */
export const reasonOfLoss = (proof: Proof, owner: Owner): 'disconnected' | 'expired' =>
  provenBy(owner) < leaseIsSureUntil(proof) ? 'disconnected' : 'expired';
