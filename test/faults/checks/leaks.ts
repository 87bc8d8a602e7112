import {
  type Call,
  type DaemonLife,
  type Evidence,
  type Grant,
  stalledWithin,
  type Violation,
} from '../log/evidence.js';
import { millis } from '../log/time.js';
import { ALLOWED } from './limits.js';

/**
 * A grant that nobody believes in any more (released, lost, or never handed to anybody) is free after one lease at the
 * latest: nothing renews what nobody holds, and nothing is forgotten.
 */
export function checkLeaks({ lives, holds, calls }: Evidence): Violation[] {
  const believed = new Map(holds.map((hold) => [hold.fence, hold.believedUntil]));
  const collectors = calls.filter(({ key }) => key.includes('+'));
  for (const { key, fence, grantedAt } of lives.flatMap((life) => life.grants)) {
    if (!believed.has(fence)) believed.set(fence, collectedUntil(key, grantedAt, collectors));
  }
  return lives.flatMap((life) => life.grants.flatMap((grant) => leak(life, grant, believed.get(grant.fence))));
}

/**
 * Who wants several keys keeps the first ones, and renews them, while it waits for the rest: until it is answered, or, if
 * its process was killed before, no longer than it would have waited.
 */
function collectedUntil(wanted: string, at: number, collectors: readonly Call[]): number {
  const ends = collectors
    .filter(({ key, invokedAt }) => invokedAt <= at && key.split('+').includes(wanted))
    .map(({ answeredAt, excused, deadlineAt }) => answeredAt ?? (excused ? deadlineAt : 0));
  return Math.max(0, ...ends.filter((end) => at <= end));
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
