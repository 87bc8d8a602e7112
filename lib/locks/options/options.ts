import type { BackendFactory, LockBackend } from '../../backends/backend.js';
import type { RemoteOptions, ServerAddress } from '../../backends/dflockd/options.js';
import type { EmbeddedOptions } from '../../backends/embedded/embedded-options.js';
import type { Clock, Entropy } from '../../common/system.js';
import type { ServerStats } from '../../protocol/server-stats.js';

export type { EmbeddedOptions } from '../../backends/embedded/embedded-options.js';
export type { RemoteOptions, ServerAddress, ShardingStrategy } from '../../backends/dflockd/options.js';

/** One key, or several that are taken all or none, in one order everywhere. */
export type LockKey = string | readonly string[];

export interface LockTimes {
  /** Seconds to wait for a lock; 0 tries once. Default 10. */
  acquireTimeoutS?: number | undefined;
  /** Seconds a lock outlives its holder's silence. Default: the server's (33). */
  leaseTtlS?: number | undefined;
}

/**
 * Where the locks live. A `backend` factory is called once for each client, which closes what it returns. An instance of a
 * backend belongs to the one client that it is given to; a second client with it gets a ConfigError.
 * @typeParam S what `stats` tells of a server
 */
export type BackendOptions<S = ServerStats> =
  | {
      servers?: readonly ServerAddress[] | undefined;
      remote?: RemoteOptions | undefined;
      embedded?: undefined;
      backend?: undefined;
    }
  | { embedded: true | EmbeddedOptions; servers?: undefined; remote?: undefined; backend?: undefined }
  | { backend: BackendFactory<S> | LockBackend<S>; servers?: undefined; remote?: undefined; embedded?: undefined };

export type LockClientOptions<S = ServerStats> = LockTimes & {
  /** Put before every key, with a colon. */
  namespace?: string | undefined;
  /**
   * `connect` (default): try, warn, keep retrying; wrong auth, TLS or options fail. `require`: fail unless dflockd answers
   * within `remote.connectTimeoutMs`. `lazy`: connect on first use.
   */
  startup?: 'connect' | 'require' | 'lazy' | undefined;
  /** Part of the lease after which a lock is renewed; strictly between 0 and 1, default 0.5. */
  renewRatio?: number | undefined;
  /** Seconds that holders may take to finish when the client closes. Default 10. */
  shutdownTimeoutS?: number | undefined;
  /**
   * Seconds after which a body (`withLock`, locked methods and requests) without a `maxHoldS` of its own loses its lock, above
   * 0. Handles from `acquire` have no limit. Default: none.
   */
  maxHoldS?: number | undefined;
} & BackendOptions<S>;

/** What a client takes from its surroundings. */
export interface LockClientDeps {
  readonly clock?: Clock | undefined;
  readonly entropy?: Entropy | undefined;
  /** Gets what an operator should see and no event tells. Default: nowhere. */
  readonly log?: ((level: 'warn', message: string) => void) | undefined;
}
