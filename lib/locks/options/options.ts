import type { ConnectionOptions } from 'node:tls';
import type { LockBackend } from '../../backends/backend.js';
import type { EmbeddedOptions } from '../../backends/embedded/embedded-options.js';
import type { Clock, Entropy } from '../../common/system.js';

/** One key, or several that are taken all or none, in one order everywhere. */
export type LockKey = string | readonly string[];

export interface Defaults {
  /** Seconds to wait for a lock; 0 tries once. Default 10. */
  acquireTimeoutS?: number | undefined;
  /** Seconds a lock outlives its holder's silence. Default: the server's (33). */
  leaseTtlS?: number | undefined;
}

/** `host`, `host:port`, or a pair. */
export type ServerAddress = string | readonly [host: string, port: number];

/** Returns the index of the server that has the key. */
export type ShardingStrategy = (key: string, numServers: number) => number;

/** How to reach a dflockd over TCP. */
export interface RemoteOptions {
  /** `{}` is TLS with the system's certificate authorities. */
  tls?: ConnectionOptions | undefined;
  auth?: string | undefined;
  /** Default: crc32 of the key, as dflockd's clients do. */
  shardingStrategy?: ShardingStrategy | undefined;
  /** For everything from the name look-up to the server's answer to a first `ping`. Milliseconds, default 5000. */
  connectTimeoutMs?: number | undefined;
  /** Milliseconds, default 5000. */
  requestTimeoutMs?: number | undefined;
  /**
   * The daemon's flag `--read-timeout`, seconds, default 23, at least 0.5: it closes connections that are silent for so
   * long. If it closes one sooner, the locks on that one are lost; a `degraded` event says so, and from then on the client
   * sends heartbeats more often.
   */
  readTimeoutS?: number | undefined;
  /** Part of the lease after which it is renewed; strictly between 0 and 1, default 0.5. */
  renewRatio?: number | undefined;
  /**
   * Bounds of the delay between attempts to connect, in milliseconds; defaults 50 and 5000. The delay doubles from attempt to
   * attempt, at random below its bound, and starts over once the server has answered. After a refused token or certificate
   * it is the longest.
   */
  reconnect?: { minDelayMs?: number | undefined; maxDelayMs?: number | undefined } | undefined;
  /**
   * The daemon's flag `--auto-release-on-disconnect`, default true as there; it cannot be asked for. With `false` a lock
   * outlives its connection until its lease ends, and so does one whose holder has died.
   */
  autoRelease?: boolean | undefined;
  /**
   * Connections to each server that all callers share for what does not wait: 1 to 64, default 2. When one is cut, the
   * locks are lost that were acquired on it.
   */
  commandLanes?: number | undefined;
  /**
   * Most connections to each server for callers that wait, and for the locks they got by waiting, until these are
   * released: an integer of at least 1, default 1024; `Infinity` for no bound. When they run out, those who wait for
   * further keys ask again and again instead (every 25 to 250 ms), which an event `degraded` tells, and end with a
   * PoolExhaustedError if their time runs out first. They do the same when the server takes no more connections.
   */
  maxWaitLanes?: number | undefined;
  /**
   * Places of this process in the daemon's queue of one key, each on a connection of its own; the other callers wait
   * for them in order. An integer of at least 1, default 2; `Infinity` only together with `maxWaitLanes: Infinity`.
   * Within a process the order is that of arrival, whatever the number. Between processes it is so among the first
   * `waitersPerKey` of each: with 100 callers in one process against a single one in another, all with 1 ms of work, the
   * single caller waits 3 / 4 / 18 / 150 ms at 1 / 2 / 8 / `Infinity`. A process that is stopped while it waits costs those
   * behind it one `placeLeaseS` for each place. 1 gives processes equal turns; `Infinity` gives the daemon's strict order
   * at the price of one connection per caller.
   */
  waitersPerKey?: number | undefined;
  /**
   * Longest lease, in seconds, that a place in the daemon's queue asks for; above 0, default 3, rounded up to whole seconds on
   * the wire. A process that is stopped while it waits takes the lock once for each of its places, and keeps the others out for
   * this long each time. Whoever gets the lock renews it to `leaseTtlS` before it begins to work, one request more for each lock
   * that was waited for; until that is answered, it counts as held for this long only.
   */
  placeLeaseS?: number | undefined;
  /**
   * `token`: handles show the first half of their token as `fence`, for daemons whose tokens begin with a rising number
   * (dflockd 2.1 and later, and the one in this package). Default `none`: tokens of dflockd 1.x and 2.0 are random, and
   * a random number stored as the highest fence blocks a row for ever. A fence that does not rise is reported by an
   * event `degraded`, and from then on that server's fences are not shown any more.
   */
  fencing?: 'none' | 'token' | undefined;
}

export type BackendOptions =
  | {
      servers?: readonly ServerAddress[] | undefined;
      remote?: RemoteOptions | undefined;
      embedded?: undefined;
      backend?: undefined;
    }
  | { embedded: true | EmbeddedOptions; servers?: undefined; remote?: undefined; backend?: undefined }
  | { backend: LockBackend; servers?: undefined; remote?: undefined; embedded?: undefined };

export type LockClientOptions = Defaults & {
  /** Put before every key, with a colon. */
  namespace?: string | undefined;
  /**
   * `connect` (default): try, warn, keep retrying; wrong auth, TLS or options fail. `require`: fail unless dflockd answers
   * within `remote.connectTimeoutMs`. `lazy`: connect on first use.
   */
  startup?: 'connect' | 'require' | 'lazy' | undefined;
  /** Seconds that holders may take to finish when the client closes. Default 10. */
  shutdownTimeoutS?: number | undefined;
  /**
   * Seconds after which a body (`withLock`, locked methods and requests) without a `maxHoldS` of its own loses its lock, above
   * 0. Handles from `acquire` have no limit. Default: none.
   */
  maxHoldS?: number | undefined;
} & BackendOptions;

/** What a client takes from its surroundings. */
export interface LockClientDeps {
  readonly clock?: Clock | undefined;
  readonly entropy?: Entropy | undefined;
  /** Gets what an operator should see and no event tells. Default: nowhere. */
  readonly log?: ((level: 'warn', message: string) => void) | undefined;
}
