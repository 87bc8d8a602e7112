import { hostFault, parseAddress, showAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { checkNames, checkNumber, checkObject, MAX_TIMER_SECONDS, wrong } from '../../common/option-checks.js';
import { show } from '../../common/shown.js';
import { HTTP_DEFAULTS, isOrigin } from '../../daemon/shared/http-options.js';
import { LOCKD_OPTIONS } from '../../daemon/shared/lockd-options.js';
import {
  type DflockdServerOptions,
  NUMBERS,
  type ResolvedServerOptions,
  resolveServerOptions,
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

/** Options that are paths or secrets. */
const EMBEDDED_TEXTS: readonly string[] = TEXTS;

/** Options of the daemon that the embedded engine does not take, and what to use instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  host: 'use embedded.listen, which takes host:port',
  port: 'use embedded.listen, which takes host:port',
  shutdownTimeout: 'the shutdownTimeoutS of the client applies, to connections too',
};

/** The numeric options, with the daemon's bounds. `defaultLeaseTtl` has its own. */
const EMBEDDED_NUMBERS = Object.freeze(
  Object.fromEntries(Object.entries(NUMBERS).filter(([name]) => !(name in ELSEWHERE) && name !== 'defaultLeaseTtl')),
);

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

const KNOWN = [
  'listen', 'defaultLeaseTtl', ...Object.keys(EMBEDDED_NUMBERS), 'autoReleaseOnDisconnect', 'fenceStateFile',
  ...HTTP_OPTIONS, ...LOCKD_OPTIONS, ...EMBEDDED_TEXTS,
]; // prettier-ignore

/** @throws ConfigError that names option and value */
export function resolveEmbedded(value: unknown): EmbeddedConfig {
  if (value !== true && (typeof value !== 'object' || value === null)) {
    throw wrong('embedded', 'true or an object', value);
  }
  const options = value === true ? {} : checkObject('embedded', value);
  checkEachName(options);
  for (const [name, { least, above, most, whole }] of Object.entries(EMBEDDED_NUMBERS)) {
    const range = { min: least, max: most ?? Number.MAX_SAFE_INTEGER, open: above ?? false, integer: whole ?? false };
    checkNumber(`embedded.${name}`, options[name], range);
  }
  const { listen, defaultLeaseTtl, ...rest } = options;
  const lease = { min: 0, max: MAX_TIMER_SECONDS, open: true };
  const leaseS = checkNumber('embedded.defaultLeaseTtl', defaultLeaseTtl, lease) ?? DEFAULT_LEASE_TTL_S;
  checkTexts(options);
  checkHttp(options);
  for (const name of ['autoReleaseOnDisconnect', 'httpSseKeepAlive', 'lockdDump', 'lockdRegistry']) {
    const flag = options[name];
    if (flag !== undefined && typeof flag !== 'boolean') throw wrong(`embedded.${name}`, 'true or false', flag);
  }
  checkLockdAddress(options);
  const address =
    listen === undefined ? undefined : parseAddress('embedded.listen', listen, { otherwise: DEFAULT_PORT, least: 0 });
  if (address && address.port !== 0 && options['httpPort'] === address.port) {
    throw wrong('embedded.httpPort', 'another port than that of embedded.listen', address.port);
  }
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

function checkLockdAddress({ lockdPort, lockdHost }: Readonly<Record<string, unknown>>): void {
  checkNumber('embedded.lockdPort', lockdPort, { min: 0, max: 65_535, integer: true });
  if (lockdHost === undefined) return;
  const fault = typeof lockdHost === 'string' ? hostFault(lockdHost) : 'it is not a string';
  if (fault === undefined) return;
  const given = showAddress(lockdHost);
  throw new ConfigError(`option embedded.lockdHost: expected a host name or address, got ${given}; ${fault}`);
}

/** The numbers among them have been checked. */
function checkHttp(options: Readonly<Record<string, unknown>>): void {
  const { httpHost: host, httpCorsAllowedOrigins: origins } = options;
  if (host !== undefined && host !== '') {
    const fault = typeof host === 'string' ? hostFault(host) : 'it is not a string';
    if (fault !== undefined) {
      throw new ConfigError(`option embedded.httpHost: expected a host, got ${showAddress(host)}; ${fault}`);
    }
  }
  if (origins !== undefined && !(Array.isArray(origins) && origins.every(isOrigin))) {
    throw wrong('embedded.httpCorsAllowedOrigins', 'a list of origins such as https://example.com', origins);
  }
  const ping = Number(options['httpSsePingInterval'] ?? 0) || HTTP_DEFAULTS.httpSsePingInterval;
  const idle = Number(options['httpSessionIdleTimeout'] ?? HTTP_DEFAULTS.httpSessionIdleTimeout);
  if (idle === 0 || ping < idle) return;
  const isPing = options['httpSsePingInterval'] !== undefined;
  if (isPing) throw wrong('embedded.httpSsePingInterval', `less than the idle timeout of sessions, ${idle} s`, ping);
  throw wrong('embedded.httpSessionIdleTimeout', `0 or more than the interval of pings, ${ping} s`, idle);
}

function checkTexts(options: Readonly<Record<string, unknown>>): void {
  for (const name of [...EMBEDDED_TEXTS, 'fenceStateFile']) {
    const text = options[name];
    if (text === undefined || (typeof text === 'string' && text.trim() !== '')) continue;
    // The token is a secret, so it is not quoted.
    if (name === 'authToken') throw new ConfigError('option embedded.authToken: expected a string that is not blank');
    throw wrong(`embedded.${name}`, 'the path of a file', text);
  }
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
    (name) => `option embedded.${name}`,
  );
  return Object.freeze({ listen, server, defaultLeaseTtl: listen ? onTheWire : defaultLeaseTtl });
}

/** The options as they may be shown: for a secret, only whether it is set. */
export function shownEmbedded({ listen, server, defaultLeaseTtl }: EmbeddedConfig): ShownEmbedded {
  const { host: _host, port: _port, shutdownTimeout: _shutdownTimeout, ...shown } = shownServerOptions(server);
  return Object.freeze({ ...shown, defaultLeaseTtl, listen });
}
