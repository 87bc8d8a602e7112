import {
  NUMBERS,
  type ResolvedServerOptions,
  resolveServerOptions,
  type ShownServerOptions,
  shownServerOptions,
  TEXTS,
} from '../../daemon/options.js';
import type { EmbeddedOptions } from './embedded-options.js';

/** The engine in this process: checked, complete, frozen. */
export interface EmbeddedConfig {
  /** Address of a TCP listener for other processes; port 0 takes any. */
  readonly listen: EmbeddedAddress | undefined;
  /** Options of the engine, and of the listener if there is one. */
  readonly server: ResolvedServerOptions;
  /** Seconds, for the locks of this process; may have fractions where `server.defaultLeaseTtl` has none. */
  readonly defaultLeaseTtl: number;
}

/** The options as anybody may see them, under the daemon's names and in its units: durations are seconds. */
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

/** Options of a daemon that an engine in the process does not have, and what to give in their place. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  host: 'give embedded.listen: its text has host and port',
  port: 'give embedded.listen: its text has host and port',
  shutdownTimeout: 'holders have the shutdownTimeoutS of the client; connections end with it',
};

/** The options that count something or are durations, with the daemon's bounds; `defaultLeaseTtl` has bounds of its own. */
export const EMBEDDED_NUMBERS = Object.freeze(
  Object.fromEntries(Object.entries(NUMBERS).filter(([name]) => !(name in ELSEWHERE) && name !== 'defaultLeaseTtl')),
);

/** Of connections, which there are none of without `listen`. */
export const OF_CONNECTIONS = [
  'maxConnections', 'maxConnectionsPerIp', 'readTimeout', 'writeTimeout', 'autoReleaseOnDisconnect', ...TEXTS,
] as const; // prettier-ignore

/** Leases may be shorter than a second here; waiters should not wait a whole one for the next sweep. */
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
  // Other processes are told it on the wire, which has no fractions.
  const onTheWire = Math.ceil(defaultLeaseTtl);
  const server = resolveServerOptions(
    { ...options, ...address, leaseSweepInterval, maxLocks, defaultLeaseTtl: onTheWire },
    (name) => `option embedded.${name}`,
  );
  return Object.freeze({ listen, server, defaultLeaseTtl: listen ? onTheWire : defaultLeaseTtl });
}

/** Of what is secret, only whether it is there. */
export function shownEmbedded({ listen, server, defaultLeaseTtl }: EmbeddedConfig): ShownEmbedded {
  const { host: _host, port: _port, shutdownTimeout: _shutdownTimeout, ...shown } = shownServerOptions(server);
  return Object.freeze({ ...shown, defaultLeaseTtl, listen });
}
