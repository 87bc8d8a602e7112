import type { Call, Evidence } from '../log/evidence.js';
import { groupBy } from './fates.js';

/** How many locks were granted while a caller in another process waited for them. */
export function countContended({ holds, calls }: Evidence): number {
  const waits = new Map(
    [...groupBy(calls.flatMap(eachKey), ({ key }) => key)].map(([key, all]) => [key, new Waits(all)] as const),
  );
  return holds.filter(({ key, worker, grantedAt }) => waits.get(key)?.hasOther(worker, grantedAt)).length;
}

type Wait = Pick<Call, 'key' | 'worker' | 'invokedAt' | 'answeredAt'>;

const eachKey = ({ key, worker, invokedAt, answeredAt }: Call): Wait[] =>
  key.split('+').map((one) => ({ key: one, worker, invokedAt, answeredAt }));

/** The waits for a key, by the process that waits. */
class Waits {
  private readonly byWorker: ReadonlyMap<string, readonly Wait[]>;

  constructor(all: readonly Wait[]) {
    this.byWorker = groupBy(
      [...all].sort((a, b) => a.invokedAt - b.invokedAt),
      ({ worker }) => worker,
    );
  }

  hasOther(worker: string, at: number): boolean {
    for (const [other, waits] of this.byWorker) if (other !== worker && isWaiting(waits, at)) return true;
    return false;
  }
}

/** As many calls of a process as there are callers may have begun and not ended. */
const LOOK_BACK = 500;

function isWaiting(waits: readonly Wait[], at: number): boolean {
  let low = 0;
  let high = waits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (waits[middle]!.invokedAt < at) low = middle + 1;
    else high = middle;
  }
  for (let i = low - 1; i >= Math.max(0, low - LOOK_BACK); i--) {
    const { answeredAt } = waits[i]!;
    if (answeredAt !== undefined && answeredAt > at) return true;
  }
  return false;
}
