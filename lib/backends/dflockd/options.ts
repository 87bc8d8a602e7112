import type { ConnectionOptions } from 'node:tls';
import { parseAddress, showAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { checkNames, checkNumber, checkObject, MAX_TIMER_SECONDS, wrong } from '../../common/option-checks.js';
import { DEFAULT_HOST, DEFAULT_PORT, DEFAULT_READ_TIMEOUT_S, LONG_LINE_CAP } from '../../protocol/limits.js';
import type { Endpoint, RemoteConfig } from './lanes/config.js';

/** `host`, `host:port`, or a pair. */
export type ServerAddress = string | readonly [host: string, port: number];

/** Returns the index of the server that holds the key. */
export type ShardingStrategy = (key: string, numServers: number) => number;

/** How to reach dflockd servers over TCP. */
export interface RemoteOptions {
  /** `{}` enables TLS with the system's certificate authorities. Default: no TLS. */
  tls?: ConnectionOptions | undefined;
  auth?: string | undefined;
  /** Default: crc32 of the key, as dflockd's clients do. */
  shardingStrategy?: ShardingStrategy | undefined;
  /** Time limit, in milliseconds, from the name lookup to the server's reply to the first `ping`. Default 5000. */
  connectTimeoutMs?: number | undefined;
  /** Time limit for the reply to a request, in milliseconds. Default 5000. */
  requestTimeoutMs?: number | undefined;
  /**
   * The daemon's flag `--read-timeout`: the server closes connections that are silent for this long. Seconds, default
   * 23, at least 0.5. If the server closes one sooner, the locks on that connection are lost, a `degraded` event says
   * so, and the client sends heartbeats more often from then on.
   */
  readTimeoutS?: number | undefined;
  /** The same as the option `renewRatio` of the client. */
  renewRatio?: number | undefined;
  /**
   * Bounds of the delay between connection attempts, in milliseconds. Defaults 50 and 5000. The bound doubles with each
   * attempt, the delay is random below it, and both start over once the server has answered. After a refused token or
   * certificate the delay is at least half the maximum.
   */
  reconnect?: { minDelayMs?: number | undefined; maxDelayMs?: number | undefined } | undefined;
  /**
   * The daemon's flag `--auto-release-on-disconnect`; default true, as in the daemon. The client cannot query it. With
   * `false` a lock outlives its connection until its lease ends, even if its holder has died.
   */
  autoRelease?: boolean | undefined;
  /**
   * Shared connections to each server, for requests that do not wait: 1 to 64, default 2. When one is lost, so are the
   * locks acquired on it.
   */
  commandLanes?: number | undefined;
  /**
   * Maximum number of connections to each server for waiting callers and for the locks they were granted, until these
   * are released. An integer of at least 1, default 1024; `Infinity` for no limit. Beyond it, callers that wait for
   * further keys poll every 25 to 250 ms, a `degraded` event says so, and they fail with a PoolExhaustedError at their
   * deadline. The same happens when the server accepts no more connections.
   */
  maxWaitLanes?: number | undefined;
  /**
   * Places of this process in the daemon's queue of one key, each on its own connection; further callers wait for these
   * places in order. An integer of at least 1, default 2; `Infinity` requires `maxWaitLanes: Infinity`. Within a
   * process, callers are always served in order of arrival. Between processes, the order of arrival holds for the first
   * `waitersPerKey` callers of each: with 100 callers in one process against one in another, each with 1 ms of work,
   * the single caller waits 3 / 4 / 18 / 150 ms at 1 / 2 / 8 / `Infinity`. A process that is stopped while it waits
   * delays the callers behind it by one `placeLeaseS` per place. 1 gives processes equal turns; `Infinity` gives the
   * daemon's strict order at the price of one connection per caller.
   */
  waitersPerKey?: number | undefined;
  /**
   * Longest lease, in seconds, that a place in the daemon's queue asks for; above 0, default 3, rounded up to whole
   * seconds on the wire. A process that is stopped while it waits is granted the lock once for each of its places and
   * blocks others for this long each time. A caller that is granted the lock renews it to `leaseTtlS` before its work
   * begins, at the price of one more request per waited-for lock; until the renewal is answered, the lock counts as
   * held for `placeLeaseS` only.
   */
  placeLeaseS?: number | undefined;
  /**
   * `token`: handles show the first half of their token as `fence`, for daemons whose tokens begin with a rising number
   * (dflockd 2.1 and later, and the daemon in this package). Default `none`: tokens of dflockd 1.x and 2.0 are random,
   * and a random number stored as the highest fence blocks a row forever. If a fence does not rise, a `degraded` event
   * says so, and fences of that server are no longer shown.
   */
  fencing?: 'none' | 'token' | undefined;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_REQUEST_TIMEOUT_MS = 5000;
const DEFAULT_MIN_DELAY_MS = 50;
const DEFAULT_MAX_DELAY_MS = 5000;
const DEFAULT_COMMAND_LANES = 2;
const MAX_COMMAND_LANES = 64;
const DEFAULT_MAX_WAIT_LANES = 1024;
const DEFAULT_WAITERS_PER_KEY = 2;
const DEFAULT_PLACE_LEASE_S = 3;
const PLACE_LEASE_S = { min: 0, max: MAX_TIMER_SECONDS, open: true };

const KNOWN = [
  'tls', 'auth', 'shardingStrategy', 'connectTimeoutMs', 'requestTimeoutMs', 'readTimeoutS', 'renewRatio', 'reconnect',
  'autoRelease', 'commandLanes', 'maxWaitLanes', 'waitersPerKey', 'placeLeaseS', 'fencing',
]; // prettier-ignore

/** The longest delay of a timer. */
const MAX_MS = 2_147_483_647;

/** @throws ConfigError that names the option and the value */
export function resolveRemote(servers: unknown, remote: unknown = {}): RemoteConfig {
  const options = checkObject('remote', remote);
  checkNames('remote', options, KNOWN);
  const milliseconds = (name: string, otherwise: number): number =>
    checkNumber(`remote.${name}`, options[name], { min: 1, max: MAX_MS }) ?? otherwise;
  checkNumber('remote.renewRatio', options.renewRatio, { min: 0, max: 1, open: true });
  return Object.freeze({
    endpoints: resolveServers(servers),
    // What is in it Node checks when it connects (tls-options.ts).
    tls: options.tls === undefined ? undefined : (checkObject('remote.tls', options.tls) as ConnectionOptions),
    auth: checkAuth(options.auth),
    shardingStrategy: checkStrategy(options.shardingStrategy),
    connectTimeoutMs: milliseconds('connectTimeoutMs', DEFAULT_CONNECT_TIMEOUT_MS),
    requestTimeoutMs: milliseconds('requestTimeoutMs', DEFAULT_REQUEST_TIMEOUT_MS),
    readTimeoutMs:
      (checkNumber('remote.readTimeoutS', options.readTimeoutS, { min: 0.5, max: MAX_MS / 1000 }) ??
        DEFAULT_READ_TIMEOUT_S) * 1000,
    reconnect: resolveReconnect(options.reconnect),
    commandLanes:
      checkNumber('remote.commandLanes', options.commandLanes, { min: 1, max: MAX_COMMAND_LANES, integer: true }) ??
      DEFAULT_COMMAND_LANES,
    ...resolveWaiting(options),
    autoRelease: checkAutoRelease(options.autoRelease),
    fencing: checkFencing(options.fencing),
  });
}

function resolveWaiting(
  options: Readonly<Record<string, unknown>>,
): Pick<RemoteConfig, 'maxWaitLanes' | 'waitersPerKey' | 'placeLeaseMs'> {
  const maxWaitLanes = checkCount('remote.maxWaitLanes', options.maxWaitLanes) ?? DEFAULT_MAX_WAIT_LANES;
  const waitersPerKey = checkCount('remote.waitersPerKey', options.waitersPerKey) ?? DEFAULT_WAITERS_PER_KEY;
  if (waitersPerKey === Infinity && maxWaitLanes !== Infinity) {
    const expected = `an integer, unless remote.maxWaitLanes is Infinity too (it is ${maxWaitLanes})`;
    throw wrong('remote.waitersPerKey', expected, waitersPerKey);
  }
  const placeLeaseS = checkNumber('remote.placeLeaseS', options.placeLeaseS, PLACE_LEASE_S) ?? DEFAULT_PLACE_LEASE_S;
  return { maxWaitLanes, waitersPerKey, placeLeaseMs: placeLeaseS * 1000 };
}

/** An integer of at least 1, or Infinity. @throws ConfigError */
function checkCount(option: string, value: unknown): number | undefined {
  if (value === undefined || value === Infinity) return value;
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw wrong(option, 'an integer of at least 1, or Infinity', value);
}

function checkAutoRelease(value: unknown = true): boolean {
  if (typeof value !== 'boolean') throw wrong('remote.autoRelease', 'true or false', value);
  return value;
}

function checkFencing(value: unknown = 'none'): RemoteConfig['fencing'] {
  if (value !== 'none' && value !== 'token') throw wrong('remote.fencing', "'none' or 'token'", value);
  return value;
}

function checkAuth(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.trim() === '' || value !== value.trim() || /[\0\r\n]/.test(value)) {
    // The token is a secret, so it is not quoted.
    throw new ConfigError('option remote.auth: expected a token without line breaks, NULs or surrounding white space');
  }
  if (Buffer.byteLength(value) > LONG_LINE_CAP) {
    throw new ConfigError(`option remote.auth: a token has at most ${LONG_LINE_CAP} bytes`);
  }
  return value;
}

function checkStrategy(value: unknown): ShardingStrategy | undefined {
  if (value !== undefined && typeof value !== 'function') throw wrong('remote.shardingStrategy', 'a function', value);
  return value as ShardingStrategy | undefined;
}

function resolveReconnect(value: unknown = {}): RemoteConfig['reconnect'] {
  const options = checkObject('remote.reconnect', value);
  checkNames('remote.reconnect', options, ['minDelayMs', 'maxDelayMs']);
  const delay = (name: string) => checkNumber(`remote.reconnect.${name}`, options[name], { min: 1, max: MAX_MS });
  const minDelayMs = delay('minDelayMs') ?? Math.min(DEFAULT_MIN_DELAY_MS, delay('maxDelayMs') ?? Infinity);
  const maxDelayMs = delay('maxDelayMs') ?? Math.max(DEFAULT_MAX_DELAY_MS, minDelayMs);
  if (maxDelayMs < minDelayMs)
    throw wrong('remote.reconnect.maxDelayMs', `at least minDelayMs (${minDelayMs})`, maxDelayMs);
  return Object.freeze({ minDelayMs, maxDelayMs });
}

function resolveServers(value: unknown): readonly Endpoint[] {
  if (value === undefined) return Object.freeze([parseAddress('servers', DEFAULT_HOST, { otherwise: DEFAULT_PORT })]);
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConfigError(`option servers: expected a list of at least one address, got ${showAddress(value)}`);
  }
  const endpoints = value.map((address: unknown, i) =>
    parseAddress(`servers[${i}]`, address, { otherwise: DEFAULT_PORT }),
  );
  const twice = endpoints.find(({ label }, i) => endpoints.findIndex((other) => other.label === label) !== i);
  if (twice) throw wrong('servers', 'each address once', twice.label);
  return Object.freeze(endpoints);
}
