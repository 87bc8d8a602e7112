import type { DflockdServerOptions } from '../../daemon/options.js';

/**
 * The engine in this process. It has the daemon's options, with the same names and bounds; all durations are seconds.
 * The options of connections require `listen`: `maxConnections`, `maxConnectionsPerIp`, `readTimeout`, `writeTimeout`,
 * `autoReleaseOnDisconnect`, `tlsCert`, `tlsKey`, `authToken`, `authTokenFile`.
 */
export interface EmbeddedOptions extends Omit<DflockdServerOptions, 'host' | 'port' | 'shutdownTimeout'> {
  /** Also serves other processes, which use this address as their server: `host:port`. */
  listen?: string | undefined;
  /** Default 1,000,000. */
  maxLocks?: number | undefined;
  /** How often expired leases are freed. Default 0.1. */
  leaseSweepInterval?: number | undefined;
  /** Default 33. May be a fraction; with `listen`, it is rounded up to a whole number. */
  defaultLeaseTtl?: number | undefined;
  /** Closing a connection frees what it holds. Default true; with `false`, clients need `remote.autoRelease: false`. */
  autoReleaseOnDisconnect?: boolean | undefined;
  /** The token that clients of `listen` must send. */
  authToken?: string | undefined;
}
