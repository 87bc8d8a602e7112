import type { DflockdServerOptions } from '../../daemon/options.js';

/**
 * The engine in this process. Its options are the daemon's, by the same names and with the same bounds; all durations are
 * seconds. Those of connections need `listen`: `maxConnections`, `maxConnectionsPerIp`, `readTimeout`, `writeTimeout`,
 * `autoReleaseOnDisconnect`, `tlsCert`, `tlsKey`, `authToken`, `authTokenFile`.
 */
export interface EmbeddedOptions extends Omit<DflockdServerOptions, 'host' | 'port' | 'shutdownTimeout'> {
  /** Also serves other processes, which name this address as their server: `host:port`. */
  listen?: string | undefined;
  /** Default 1,000,000. */
  maxLocks?: number | undefined;
  /** Expired leases are taken away on ticks of this length. Default 0.1. */
  leaseSweepInterval?: number | undefined;
  /** Default 33; may be a fraction, and is rounded up to a whole number with `listen`. */
  defaultLeaseTtl?: number | undefined;
  /** The end of a connection frees what it holds. Default true. With `false`, clients need `remote.autoRelease: false`. */
  autoReleaseOnDisconnect?: boolean | undefined;
  /** The token that clients of `listen` must send. */
  authToken?: string | undefined;
}
