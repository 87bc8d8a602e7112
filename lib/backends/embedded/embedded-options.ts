import type { DflockdServerOptions } from '../../daemon/shared/options.js';

/**
 * Options of the engine in this process. Names and bounds are the daemon's; all durations are in seconds. The options
 * of connections require `listen`: `maxConnections`, `maxConnectionsPerIp`, `readTimeout`, `writeTimeout`,
 * `autoReleaseOnDisconnect`, `tlsCert`, `tlsKey`, `authToken`, `authTokenFile`, and those whose names begin with `http`.
 */
export interface EmbeddedOptions extends Omit<DflockdServerOptions, 'host' | 'port' | 'shutdownTimeout'> {
  /** Address (`host:port`) on which to serve other processes, which name it as their server. Default: none. */
  listen?: string | undefined;
  /** Default 1,000,000. */
  maxLocks?: number | undefined;
  /** Interval, in seconds, at which expired leases are removed. Default 0.1. */
  leaseSweepInterval?: number | undefined;
  /** Seconds, default 33. May be fractional; for clients of `listen` it is rounded up to a whole number. */
  defaultLeaseTtl?: number | undefined;
  /**
   * Whether the locks of a connection are released when it ends. Default true. With `false`, clients must set
   * `remote.autoRelease: false`.
   */
  autoReleaseOnDisconnect?: boolean | undefined;
  /** The token that clients of `listen` must send. */
  authToken?: string | undefined;
}
