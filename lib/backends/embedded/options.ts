import { parseAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { checkNames, checkNumber, checkObject, MAX_TIMER_SECONDS, wrong } from '../../common/option-checks.js';
import { show } from '../../common/shown.js';
import { HTTP_DEFAULTS } from '../../daemon/shared/http-options.js';
import {
  type DflockdServerOptions,
  type ResolvedServerOptions,
  resolveServerOptions,
  SERVER_OPTIONS,
  type ShownServerOptions,
  shownServerOptions,
  TEXTS,
} from '../../daemon/shared/options.js';
import { DEFAULT_LEASE_TTL_S, DEFAULT_PORT } from '../../protocol/limits.js';

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

/** Options of the daemon that the embedded engine does not take, and what to use instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  host: 'use embedded.listen, which takes host:port',
  port: 'use embedded.listen, which takes host:port',
  shutdownTimeout: 'the shutdownTimeoutS of the client applies, to connections too',
};

/** Options of the HTTP interface. */
const HTTP_OPTIONS = Object.keys(HTTP_DEFAULTS) as (keyof typeof HTTP_DEFAULTS)[];

/** Options of connections, which exist only with `listen`. */
const OF_CONNECTIONS = [
  'maxConnections', 'maxConnectionsPerIp', 'readTimeout', 'writeTimeout', 'autoReleaseOnDisconnect', ...HTTP_OPTIONS,
  ...TEXTS,
] as const; // prettier-ignore

/** In seconds. Leases may be shorter than a second here, and waiters should not wait a whole one for the next sweep. */
const DEFAULT_SWEEP_INTERVAL_S = 0.1;
const DEFAULT_MAX_LOCKS = 1_000_000;

const KNOWN = ['listen', ...SERVER_OPTIONS.filter((name) => !(name in ELSEWHERE))];

/** @throws ConfigError that names option and value */
export function resolveEmbedded(value: unknown): EmbeddedConfig {
  if (value !== true && (typeof value !== 'object' || value === null)) {
    throw wrong('embedded', 'true or an object', value);
  }
  const options = value === true ? {} : checkObject('embedded', value);
  checkEachName(options);
  const { listen, defaultLeaseTtl, ...rest } = options;
  const lease = { min: 0, max: MAX_TIMER_SECONDS, open: true };
  const leaseS = checkNumber('embedded.defaultLeaseTtl', defaultLeaseTtl, lease) ?? DEFAULT_LEASE_TTL_S;
  const address =
    listen === undefined ? undefined : parseAddress('embedded.listen', listen, { otherwise: DEFAULT_PORT, least: 0 });
  return embeddedConfig(rest, address, leaseS);
}

function checkEachName(options: Readonly<Record<string, unknown>>): void {
  for (const [name, instead] of Object.entries(ELSEWHERE)) {
    if (options[name] === undefined) continue;
    throw new ConfigError(`option embedded.${name} is unknown, got ${show(options[name])}; ${instead}`);
  }
  checkNames('embedded', options, KNOWN);
  if (options['listen'] !== undefined) return;
  const pointless = OF_CONNECTIONS.find((name) => options[name] !== undefined);
  if (pointless) throw new ConfigError(`option embedded.${pointless} requires embedded.listen`);
}

function embeddedConfig(
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
    (name) => `option embedded.${name === 'port' ? 'listen' : name}`,
    false,
  );
  return Object.freeze({ listen, server, defaultLeaseTtl: listen ? onTheWire : defaultLeaseTtl });
}

/** The options as they may be shown: for a secret, only whether it is set. */
export function shownEmbedded({ listen, server, defaultLeaseTtl }: EmbeddedConfig): ShownEmbedded {
  const { host: _host, port: _port, shutdownTimeout: _shutdownTimeout, ...shown } = shownServerOptions(server);
  return Object.freeze({ ...shown, defaultLeaseTtl, listen });
}
