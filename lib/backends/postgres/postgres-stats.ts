import type { KeyQueue } from './queues/key-queue.js';
import type { QueueSite } from './queues/queue-site.js';
import type { ServerFacts } from './sessions/session.js';

/** What `stats()` tells of the server, and of this process since its start. */
export interface PostgresStats {
  /** `host:port/database` */
  readonly server: string;
  /** Of Postgres, such as `16.4`. */
  readonly version: string;
  /** Rises with each failover. Undefined where the role may not ask. */
  readonly timeline: number | undefined;
  /** `max_connections` of the server. */
  readonly maxConnections: number;
  /** Connections of this process. */
  readonly connections: number;
  /** Advisory locks that this process has, tries for or waits for. */
  readonly held: number;
  /** As many as it may have. */
  readonly maxHeld: number;
  /** Keys for which callers of this process wait. */
  readonly queues: number;
  /** Those callers. */
  readonly waiters: number;
  /** Their places in the queues of the server. */
  readonly places: number;
  /** Keys for which callers wait without a place, for want of a connection. */
  readonly polling: number;
  /** Statements on the command connection, of any kind. */
  readonly statements: number;
  /** Tries and releases, several of which may share a statement. */
  readonly ops: number;
  /** How often a session was proven before a grant was handed out. */
  readonly confirms: number;
  /** Waits that were cancelled at the server. */
  readonly cancels: number;
  /** Statements that failed and whose locks were given back. */
  readonly repairs: number;
}

export function statsOf(
  { server, commands, waitSessions, holdings }: QueueSite,
  facts: ServerFacts | undefined,
  all: readonly KeyQueue[],
): PostgresStats {
  let [queues, waiters, places, polling] = [0, 0, 0, 0];
  for (const { counts, state } of all) {
    if (counts.waiters > 0) queues++;
    waiters += counts.waiters;
    places += counts.places;
    if (state === 'polling') polling++;
  }
  const { statements, ops, repairs } = commands.counts;
  const { cancels, confirms } = waitSessions.counts;
  return {
    server,
    version: facts?.version ?? '',
    timeline: facts?.timeline,
    maxConnections: facts?.maxConnections ?? 0,
    connections: waitSessions.open + (commands.session ? 1 : 0),
    held: holdings.count,
    maxHeld: holdings.limit,
    queues,
    waiters,
    places,
    polling,
    statements,
    ops,
    confirms,
    cancels,
    repairs,
  };
}
