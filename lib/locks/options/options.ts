import type { BackendFactory, LockBackend } from '../../backends/backend.js';
import type { RemoteOptions, ServerAddress } from '../../backends/dflockd/options.js';
import type { EmbeddedOptions } from '../../backends/embedded/options.js';
import type { Clock, Entropy } from '../../common/system.js';
import type { ServerStats } from '../../protocol/server-stats.js';

export type { EmbeddedOptions } from '../../backends/embedded/options.js';
export type { RemoteOptions, ServerAddress, ShardingStrategy } from '../../backends/dflockd/options.js';

/** One key, or several that are acquired all or none, in the same order everywhere. */
export type LockKey = string | readonly string[];

export interface LockTimes {
  /** Seconds to wait for a lock; 0 tries once. Default 10. */
  acquireTimeoutS?: number | undefined;
  /** Lease in seconds: how long a lock outlives the last sign of its holder. Default: the server's (33). */
  leaseTtlS?: number | undefined;
}

/**
 * Where the locks live. A `backend` factory is called once per client, which closes what it returns. An instance
 * belongs to the first client that it is passed to; a second client fails with a ConfigError.
 * @typeParam S what `stats` returns for each server
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
  /** Prefixed to every key, with a colon. Default: none. */
  namespace?: string | undefined;
  /**
   * When to connect. `connect` (default): at startup; if no server answers, warn and keep retrying, but fail on wrong
   * auth, TLS or options. `require`: fail unless the server answers within `remote.connectTimeoutMs`. `lazy`: connect
   * on first use.
   */
  startup?: 'connect' | 'require' | 'lazy' | undefined;
  /** Fraction of the lease after which a lock is renewed; strictly between 0 and 1, default 0.5. */
  renewRatio?: number | undefined;
  /** Seconds that holders may take to finish when the client closes. Default 10. */
  shutdownTimeoutS?: number | undefined;
  /**
   * Seconds, above 0, after which a body (`withLock`, locked methods and requests) without its own `maxHoldS` loses its
   * lock. Handles from `acquire` have no limit. Default: none.
   */
  maxHoldS?: number | undefined;
} & BackendOptions<S>;

/** The environment of a client. */
export interface LockClientDeps {
  readonly clock?: Clock | undefined;
  readonly entropy?: Entropy | undefined;
  /** Receives messages for operators that no event carries. Default: discarded. */
  readonly log?: ((level: 'warn', message: string) => void) | undefined;
}
