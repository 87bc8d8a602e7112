import {
  NUMBERS,
  type ResolvedServerOptions,
  resolveServerOptions,
  type ShownServerOptions,
  shownServerOptions,
  TEXTS,
} from '../../daemon/options.js';
import type { EmbeddedOptions } from './embedded-options.js';

/** The configuration of the engine in this process: checked, complete, frozen. */
export interface EmbeddedConfig {
  /** The address of a TCP listener for other processes; port 0 takes any free port. */
  readonly listen: EmbeddedAddress | undefined;
  /** The options of the engine, and of the listener if there is one. */
  readonly server: ResolvedServerOptions;
  /** Seconds, for the locks of this process. May be a fraction, which `server.defaultLeaseTtl` may not. */
  readonly defaultLeaseTtl: number;
}

/** The options without secrets, under the daemon's names and in its units: durations are seconds. */
export interface ShownEmbedded extends Omit<ShownServerOptions, 'host' | 'port' | 'shutdownTimeout'> {
  readonly listen: EmbeddedAddress | undefined;
}

export interface EmbeddedAddress {
  readonly host: string;
  readonly port: number;
  readonly label: string;
}

/** Options that are paths or secrets. */
export const EMBEDDED_TEXTS: readonly string[] = TEXTS;

/** Options of a daemon that an engine in this process does not have, and what to use instead. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  host: "use embedded.listen: 'host:port'",
  port: "use embedded.listen: 'host:port'",
  shutdownTimeout: 'use shutdownTimeoutS of the client: holders have that long, then connections are closed',
};

/** The numeric options, with the daemon's bounds, except `defaultLeaseTtl`, which has bounds of its own. */
export const EMBEDDED_NUMBERS = Object.freeze(
  Object.fromEntries(Object.entries(NUMBERS).filter(([name]) => !(name in ELSEWHERE) && name !== 'defaultLeaseTtl')),
);

/** The options of connections; without `listen` there are none. */
export const OF_CONNECTIONS = [
  'maxConnections', 'maxConnectionsPerIp', 'readTimeout', 'writeTimeout', 'autoReleaseOnDisconnect', ...TEXTS,
] as const; // prettier-ignore

/** Leases may be shorter than a second here, so waiters should not wait a whole second for the next sweep. */
const DEFAULT_SWEEP_INTERVAL_S = 0.1;
const DEFAULT_MAX_LOCKS = 1_000_000;

/** @throws ConfigError that names option and value */
export function embeddedConfig(
  options: Omit<EmbeddedOptions, 'listen' | 'defaultLeaseTtl'>,
  listen: EmbeddedAddress | undefined,
  defaultLeaseTtl: number,
): EmbeddedConfig {
  const { leaseSweepInterval = DEFAULT_SWEEP_INTERVAL_S, maxLocks = DEFAULT_MAX_LOCKS } = options;
  const address = listen && { host: listen.host, port: listen.port };
  // On the wire, other processes get it without fractions.
  const onTheWire = Math.ceil(defaultLeaseTtl);
  const server = resolveServerOptions(
    { ...options, ...address, leaseSweepInterval, maxLocks, defaultLeaseTtl: onTheWire },
    (name) => `option embedded.${name}`,
  );
  return Object.freeze({ listen, server, defaultLeaseTtl: listen ? onTheWire : defaultLeaseTtl });
}

/** The options for display; of secrets, only whether they are set. */
export function shownEmbedded({ listen, server, defaultLeaseTtl }: EmbeddedConfig): ShownEmbedded {
  const { host: _host, port: _port, shutdownTimeout: _shutdownTimeout, ...shown } = shownServerOptions(server);
  return Object.freeze({ ...shown, defaultLeaseTtl, listen });
}
