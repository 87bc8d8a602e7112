import type { Evidence, Hold, Violation } from '../log/evidence.js';
import { millis } from '../log/time.js';
import { type Fates, groupBy } from './fates.js';

/** No key has more believers than slots. */
export function checkExclusion({ holds }: Evidence, fates: Fates): Violation[] {
  return [...groupBy(holds, ({ key }) => key).values()].flatMap((ofKey) => overlaps(ofKey, fates));
}

function overlaps(holds: readonly Hold[], fates: Fates): Violation[] {
  const found: Violation[] = [];
  const sorted = [...holds].sort((a, b) => a.grantedAt - b.grantedAt);
  // As many as there are slots, so that a walk over them is short.
  let live: { hold: Hold; until: number }[] = [];
  for (const hold of sorted) {
    const until = fates.endOf(hold);
    if (until <= hold.grantedAt) continue;
    live = live.filter(({ until }) => until > hold.grantedAt);
    if (live.length >= hold.limit) {
      const others = live.map((other) => `${other.hold.worker}: ${other.hold.line}`);
      const over = millis(Math.max(...live.map(({ until }) => until)) - hold.grantedAt).toFixed(3);
      const text = `${hold.key} has ${live.length + 1} holders of ${hold.limit} for ${over} ms:\n  ${others.join('\n  ')}\n  ${hold.worker}: ${hold.line}`;
      found.push({ check: 'exclusion', at: hold.grantedAt, text });
    }
    live.push({ hold, until });
  }
  return found;
}
