import { HTTP_DEFAULTS } from '../../daemon/shared/http-options.js';
import {
  NUMBERS,
  type ResolvedServerOptions,
  resolveServerOptions,
  type ShownServerOptions,
  shownServerOptions,
  TEXTS,
} from '../../daemon/shared/options.js';
import type { EmbeddedOptions } from './embedded-options.js';

/** The engine in this process: checked, complete, frozen. */
export interface EmbeddedConfig {
  /** Address of a TCP listener for other processes; port 0 takes any. */
  readonly listen: EmbeddedAddress | undefined;
  /** Options of the engine, and of the listener if there is one. */
  readonly server: ResolvedServerOptions;
  /** Seconds, for the locks of this process. May be fractional where `server.defaultLeaseTtl` is rounded up. */
  readonly defaultLeaseTtl: number;
}

/** The options without secrets, under the daemon's names and in its units: durations are in seconds. */
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

/** Options of the daemon that the embedded engine does not take, and what to use instead. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  host: 'use embedded.listen, which takes host:port',
  port: 'use embedded.listen, which takes host:port',
  shutdownTimeout: 'the shutdownTimeoutS of the client applies, to connections too',
};

/** The numeric options, with the daemon's bounds. `defaultLeaseTtl` has its own. */
export const EMBEDDED_NUMBERS = Object.freeze(
  Object.fromEntries(Object.entries(NUMBERS).filter(([name]) => !(name in ELSEWHERE) && name !== 'defaultLeaseTtl')),
);

/** Options of the HTTP interface. */
export const HTTP_OPTIONS = Object.keys(HTTP_DEFAULTS) as (keyof typeof HTTP_DEFAULTS)[];

/** Options of connections, which exist only with `listen`. */
export const OF_CONNECTIONS = [
  'maxConnections', 'maxConnectionsPerIp', 'readTimeout', 'writeTimeout', 'autoReleaseOnDisconnect', ...HTTP_OPTIONS,
  ...TEXTS,
] as const; // prettier-ignore

/** In seconds. Leases may be shorter than a second here, and waiters should not wait a whole one for the next sweep. */
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
  // Other processes receive it on the wire, which carries whole seconds.
  const onTheWire = Math.ceil(defaultLeaseTtl);
  const server = resolveServerOptions(
    { ...options, ...address, leaseSweepInterval, maxLocks, defaultLeaseTtl: onTheWire },
    (name) => `option embedded.${name}`,
  );
  return Object.freeze({ listen, server, defaultLeaseTtl: listen ? onTheWire : defaultLeaseTtl });
}

/** The options as they may be shown: for a secret, only whether it is set. */
export function shownEmbedded({ listen, server, defaultLeaseTtl }: EmbeddedConfig): ShownEmbedded {
  const { host: _host, port: _port, shutdownTimeout: _shutdownTimeout, ...shown } = shownServerOptions(server);
  return Object.freeze({ ...shown, defaultLeaseTtl, listen });
}
