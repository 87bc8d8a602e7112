import { type CutEvent, type DaemonLife, type Evidence, type Grant, type Hold } from '../log/evidence.js';
import { fromMillis } from '../log/time.js';

/** What the daemon did with a hold's grant. */
export interface Fate {
  readonly grant: Grant;
  readonly life: DaemonLife;
  /** When the daemon freed it, or was killed. */
  readonly freedAt: number | undefined;
  /** When its connection was cut so that the holder could see it, if that is what freed it. */
  readonly cutAt: number | undefined;
}

/** A daemon that is told of a cut frees the lock at once; one that was stopped does when it runs again. */
const NEAR_NS = fromMillis(100);

/** The daemon's side of every hold. */
export class Fates {
  private readonly byFence = new Map<string, { grant: Grant; life: DaemonLife }>();
  private readonly cuts: readonly CutEvent[];

  constructor({ lives, cuts }: Evidence) {
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
   * cut overtook the answer.
   */
  endOf(hold: Hold): number {
    const fate = this.of(hold);
    return fate?.cutAt === undefined ? hold.believedUntil : Math.min(hold.believedUntil, fate.freedAt ?? Infinity);
  }

  /** The latest cut of this client that the daemon may have answered by freeing the lock. */
  private cutBefore(client: number, grant: Grant, life: DaemonLife): number | undefined {
    const freedAt = grant.freedAt!;
    // A daemon that drains ends connections where both sides see it.
    if (life.drainedAt !== undefined && freedAt >= life.drainedAt) return freedAt;
    const from = freedAt - NEAR_NS - stallBefore(life, freedAt);
    // The request may have been cut off on its way, and be granted before the daemon sees the end.
    const earliest = Math.max(from, grant.grantedAt - NEAR_NS);
    return this.cuts.findLast((cut) => cut.at >= earliest && cut.at <= freedAt && (cut.client ?? client) === client)
      ?.at;
  }
}

/** How long a daemon had not run right before. */
function stallBefore(life: DaemonLife, at: number): number {
  const span = life.stalls.find(({ from, to }) => from <= at && to >= at - NEAR_NS);
  return span ? span.to - span.from : 0;
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
