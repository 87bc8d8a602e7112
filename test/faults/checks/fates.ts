import {
  type CutEvent,
  type DaemonLife,
  type Evidence,
  type Grant,
  type Hold,
  stalledWithin,
} from '../log/evidence.js';
import { fromMillis } from '../log/time.js';
import { ALLOWED } from './limits.js';

/** What the daemon did with a hold's grant. */
export interface Fate {
  readonly grant: Grant;
  readonly life: DaemonLife;
  /** When the daemon freed it, or was killed. */
  readonly freedAt: number | undefined;
  /** When its connection was cut so that the holder could see it, if that is what freed it. */
  readonly cutAt: number | undefined;
}

/** A daemon frees the lock when it has read what came before the cut; the time in which it did not run does not count. */
const NEAR_NS = fromMillis(250);

/** The daemon's side of every hold. */
export class Fates {
  private readonly byFence = new Map<string, { grant: Grant; life: DaemonLife }>();
  private readonly cuts: readonly CutEvent[];
  private readonly byClient = new Map<number, readonly number[]>();
  private readonly hasLog: boolean;

  constructor(private readonly evidence: Evidence) {
    const { lives, cuts } = evidence;
    this.hasLog = lives.length > 0;
    this.cuts = [...cuts].sort((a, b) => a.at - b.at);
    for (const life of lives) for (const grant of life.grants) this.byFence.set(grant.fence, { grant, life });
  }

  of(hold: Hold): Fate | undefined {
    const known = this.byFence.get(hold.fence);
    if (!known) return undefined;
    const { grant, life } = known;
    if (grant.freedAt === undefined) {
      const { killedAt } = life;
      return { grant, life, freedAt: killedAt, cutAt: killedAt };
    }
    const cutAt = grant.cause === 'closed' ? this.cutBefore(hold.client, grant, life) : undefined;
    return { grant, life, freedAt: grant.freedAt, cutAt };
  }

  /**
   * When a hold ends for those who look at it from outside. Where a connection was cut, the daemon frees the lock in the
   * same moment, and the news takes its time to the holder: that cannot be closed. Such a hold counts until it was
   * freed; how long its holder went on believing is judged by the zombie window. It may end before it was granted: the
   * cut overtook the answer. Where the server is not ours and has no log, it ends with a cut of which its holder was told
   * in time.
   */
  endOf(hold: Hold): number {
    if (!this.hasLog) return this.endByCut(hold) ?? hold.believedUntil;
    const fate = this.of(hold);
    return fate?.cutAt === undefined ? hold.believedUntil : Math.min(hold.believedUntil, fate.freedAt ?? Infinity);
  }

  /** Undefined: its connection was not cut, or its holder was told too late. It may have been cut before the grant was read. */
  private endByCut({ client, worker, believedUntil }: Hold): number | undefined {
    const last = lastAt(this.byClient.get(client) ?? this.index(client), believedUntil);
    if (last === undefined) return undefined;
    const { stalls, proxyStalls } = this.evidence;
    const carriers = [...(stalls.get(worker) ?? []), ...proxyStalls];
    // The proxy, too, sees late what the server has done.
    const allowed = ALLOWED.cutNs + stalledWithin(carriers, last - ALLOWED.cutNs, believedUntil);
    return believedUntil - last <= allowed ? Math.min(last, believedUntil - allowed) : undefined;
  }

  /** When connections of a client were cut, ascending. */
  private index(client: number): readonly number[] {
    const times = this.cuts.filter((cut) => (cut.client ?? client) === client).map(({ at }) => at);
    this.byClient.set(client, times);
    return times;
  }

  /** The latest cut of this client that the daemon may have answered by freeing the lock. */
  private cutBefore(client: number, grant: Grant, life: DaemonLife): number | undefined {
    const freedAt = grant.freedAt!;
    // A daemon that drains ends connections where both sides see it.
    if (life.drainedAt !== undefined && freedAt >= life.drainedAt) return freedAt;
    const near = (cut: CutEvent): boolean =>
      cut.at <= freedAt && freedAt - cut.at - stalledWithin(life.stalls, cut.at, freedAt) <= NEAR_NS;
    return this.cuts.findLast((cut) => (cut.client ?? client) === client && near(cut))?.at;
  }
}

/** The last of ascending times that is not after `at`. */
function lastAt(times: readonly number[], at: number): number | undefined {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= at) low = middle + 1;
    else high = middle;
  }
  return times[low - 1];
}

export function groupBy<T>(items: Iterable<T>, by: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = by(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}
