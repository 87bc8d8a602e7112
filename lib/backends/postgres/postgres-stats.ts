import type { KeyQueue } from './queues/key-queue.js';
import type { QueueSite } from './queues/queue-site.js';
import type { ServerFacts } from './sessions/session.js';

/** What `stats()` reports about the server and, since its start, about this process. */
export interface PostgresStats {
  /** `host:port/database` */
  readonly server: string;
  /** The version of Postgres, such as `16.4`. */
  readonly version: string;
  /** Rises with each failover. Undefined if the role may not read it. */
  readonly timeline: number | undefined;
  /** `max_connections` of the server. */
  readonly maxConnections: number;
  /** Connections of this process. */
  readonly connections: number;
  /** Advisory locks that this process holds, tries for or waits for. */
  readonly held: number;
  /** The maximum of `held`: the option `maxHeld`, or its default. */
  readonly maxHeld: number;
  /** Keys for which callers of this process wait. */
  readonly queues: number;
  /** Callers of this process that wait. */
  readonly waiters: number;
  /** Their places in the queues of the server. */
  readonly places: number;
  /** Keys for which callers poll, because there is no connection for a place. */
  readonly polling: number;
  /** Statements on the command connection, of any kind. */
  readonly statements: number;
  /** Tries and releases, several of which may share a statement. */
  readonly ops: number;
  /** How often a session was proven before a grant was handed out. */
  readonly confirms: number;
  /** Waits that were cancelled at the server. */
  readonly cancels: number;
  /** Failed statements whose locks were released afterwards. */
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
