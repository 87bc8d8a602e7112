/** What the logs of a round say, as the checkers read it. Times are nanoseconds of one monotonic clock. */

/** How a hold ended, as its holder knows. `open`: its process was killed, or the log ends. */
export type HoldEnd = 'released' | 'lost' | 'open';

/** A lock in somebody's hands, from the moment the API gave it. */
export interface Hold {
  readonly key: string;
  readonly limit: number;
  /** The first half of the token: a number that rises with every grant of a daemon. */
  readonly fence: string;
  readonly worker: string;
  /** Counted over all workers, as their proxies are. */
  readonly client: number;
  readonly invokedAt: number;
  readonly grantedAt: number;
  readonly end: HoldEnd;
  /** Until when the holder believed in it; -Infinity: never. */
  readonly believedUntil: number;
  /** When it was told of the loss, or saw it. */
  readonly lostAt: number | undefined;
  readonly line: string;
}

/** A caller's question. */
export interface Call {
  readonly worker: string;
  readonly client: number;
  readonly key: string;
  readonly invokedAt: number;
  readonly deadlineAt: number;
  /** Undefined: never answered. */
  readonly answeredAt: number | undefined;
  readonly outcome: string;
  /** Its process was killed meanwhile. */
  readonly excused: boolean;
}

/** Why the daemon freed a lock: released by token, its lease was over, its connection ended. */
export type FreeCause = 'released' | 'expired' | 'closed';

/** A grant as the daemon made it. */
export interface Grant {
  readonly key: string;
  readonly limit: number;
  readonly fence: string;
  readonly session: number;
  /** Its place in the queue; 0: it never queued. */
  readonly place: number;
  readonly grantedAt: number;
  readonly leaseNs: number;
  readonly freedAt: number | undefined;
  readonly cause: FreeCause | undefined;
}

/** What happened to a daemon's queues, in its order. */
export type QueueEvent =
  | { readonly type: 'queued' | 'left'; readonly at: number; readonly key: string; readonly place: number }
  | { readonly type: 'granted'; readonly at: number; readonly key: string; readonly place: number };

/** One life of a daemon. */
export interface DaemonLife {
  readonly grants: readonly Grant[];
  readonly queue: readonly QueueEvent[];
  /** It was killed: what it did last may be missing. */
  readonly killedAt: number | undefined;
  /** From then on it grants nothing and ends connections. */
  readonly drainedAt: number | undefined;
  readonly completeUntil: number;
  readonly stalls: readonly Span[];
  readonly sweepNs: number;
}

/** A loop that comes round so late did not run in between. */
export const STALL_NS = 10e6;

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A fault that ended connections in a way that their client could see. */
export interface CutEvent {
  readonly at: number;
  /** Undefined: all of them. */
  readonly client: number | undefined;
}

/** A fault while it lasted. */
export interface Disturbance extends Span {
  /** Undefined: all of them. */
  readonly client: number | undefined;
}

export interface Idleness {
  /** For so long a server keeps what a silent client holds. */
  readonly silenceNs: number;
  readonly disturbances: readonly Disturbance[];
}

export interface Evidence {
  readonly holds: readonly Hold[];
  readonly calls: readonly Call[];
  readonly lives: readonly DaemonLife[];
  /** Of each worker process: when it did not run. */
  readonly stalls: ReadonlyMap<string, readonly Span[]>;
  /** When the proxies did not run. */
  readonly proxyStalls: readonly Span[];
  readonly cuts: readonly CutEvent[];
  /** Where nobody may wait in vain: see `checkIdle`. */
  readonly idle?: Idleness | undefined;
  /** What workers themselves found wrong. */
  readonly complaints: readonly Violation[];
}

export interface Violation {
  readonly check: string;
  readonly at: number;
  readonly text: string;
}

/** How much of a span something did not run. Stalls of several processes may overlap; no moment counts twice. */
export function stalledWithin(stalls: readonly Span[], from: number, to: number): number {
  let total = 0;
  let counted = from;
  const near = stalls.filter((span) => span.to > from && span.from < to);
  for (const span of near.sort((a, b) => a.from - b.from)) {
    total += Math.max(0, Math.min(span.to, to) - Math.max(span.from, counted));
    counted = Math.max(counted, span.to);
  }
  return total;
}
