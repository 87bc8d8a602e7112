import type { Evidence, Grant, Hold, Violation } from '../log/evidence.js';
import { type Fates, groupBy } from './fates.js';

/**
 * Fences rise: with every grant of a key, over the lives of the daemon; and, for a lock, whoever holds it after somebody
 * else has the greater fence. (Of a semaphore a slot may be granted to a process before another one's, and be handed
 * to a caller of it after that one has been given back.)
 */
export function checkFences({ holds, lives }: Evidence, fates: Fates): Violation[] {
  const grants = lives.flatMap((life) => life.grants);
  const locks = holds.filter((hold) => hold.limit === 1 && fates.endOf(hold) >= hold.grantedAt);
  return [
    ...[...groupBy(grants, ({ key }) => key).values()].flatMap(fallsAtDaemon),
    ...[...groupBy(locks, ({ key }) => key).values()].flatMap(fallsAmongHolders),
  ];
}

/** Sixteen hexadecimal digits: the order of the text is that of the numbers. */
function fallsAtDaemon(grants: readonly Grant[]): Violation[] {
  return grants.flatMap((grant, i) => {
    const before = grants[i - 1];
    if (!before || before.fence < grant.fence) return [];
    const text = `${grant.key}: the daemon granted the fence ${grant.fence} after ${before.fence}`;
    return [{ check: 'fences', at: grant.grantedAt, text }];
  });
}

/** Without what tells two grants apart that have the same one, of different keys. */
const fenceOf = ({ fence }: Hold): string => fence.slice(0, 16);

function fallsAmongHolders(holds: readonly Hold[]): Violation[] {
  const found: Violation[] = [];
  const ends = [...holds].sort((a, b) => a.believedUntil - b.believedUntil);
  let ended = 0;
  let highest: Hold | undefined;
  for (const hold of [...holds].sort((a, b) => a.grantedAt - b.grantedAt)) {
    while (ended < ends.length && ends[ended]!.believedUntil < hold.grantedAt) {
      const past = ends[ended++]!;
      if (!highest || fenceOf(past) > fenceOf(highest)) highest = past;
    }
    if (highest && fenceOf(highest) >= fenceOf(hold) && highest !== hold) {
      const text = `${hold.key}: fence ${hold.fence} after ${highest.fence}\n  ${highest.worker}: ${highest.line}\n  ${hold.worker}: ${hold.line}`;
      found.push({ check: 'fences', at: hold.grantedAt, text });
    }
  }
  return found;
}
