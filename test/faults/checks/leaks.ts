import { type DaemonLife, type Evidence, type Grant, stalledWithin, type Violation } from '../log/evidence.js';
import { millis } from '../log/time.js';
import { ALLOWED } from './limits.js';

/**
 * A grant that nobody believes in any more (released, lost, or never handed to anybody) is free after one lease at the
 * latest: nothing renews what nobody holds, and nothing is forgotten.
 */
export function checkLeaks({ lives, holds }: Evidence): Violation[] {
  const believed = new Map(holds.map((hold) => [hold.fence, hold.believedUntil]));
  return lives.flatMap((life) => life.grants.flatMap((grant) => leak(life, grant, believed.get(grant.fence))));
}

function leak(life: DaemonLife, grant: Grant, believedUntil: number | undefined): Violation[] {
  const last = Math.max(grant.grantedAt, believedUntil ?? 0);
  const end = grant.freedAt ?? life.killedAt ?? life.completeUntil;
  const stalled = stalledWithin(life.stalls, last, end);
  // It lapses, and the next tick of the sweep takes it away.
  const due = last + grant.leaseNs + life.sweepNs + ALLOWED.sweepLateNs + stalled;
  if (grant.freedAt === undefined ? life.killedAt !== undefined : grant.freedAt <= due) return [];
  const fate =
    grant.freedAt === undefined ? 'was never freed' : `was freed ${millis(end - due).toFixed(0)} ms too late`;
  const text = `${grant.key}: the grant ${grant.fence} (${believedUntil ? 'handed over' : 'nobody got it'}) ${fate}`;
  return [{ check: 'leaks', at: end, text }];
}
