import type { ConnectionOptions } from 'node:tls';
import { parseAddress, showAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { checkNames, checkNumber, checkObject, MAX_TIMER_SECONDS, wrong } from '../../common/option-checks.js';
import { DEFAULT_HOST, DEFAULT_PORT, DEFAULT_READ_TIMEOUT_S, LONG_LINE_CAP } from '../../protocol/limits.js';
import type { Endpoint, RemoteConfig } from './lanes/config.js';

/** `host`, `host:port`, or a pair. */
export type ServerAddress = string | readonly [host: string, port: number];

/** Returns the index of the server that has the key. */
export type ShardingStrategy = (key: string, numServers: number) => number;

/** How to reach a dflockd over TCP. */
export interface RemoteOptions {
  /** `{}` is TLS with the system's certificate authorities. */
  tls?: ConnectionOptions | undefined;
  auth?: string | undefined;
  /** Default: crc32 of the key, as dflockd's clients do. */
  shardingStrategy?: ShardingStrategy | undefined;
  /** For everything from the name look-up to the server's answer to a first `ping`. Milliseconds, default 5000. */
  connectTimeoutMs?: number | undefined;
  /** Milliseconds, default 5000. */
  requestTimeoutMs?: number | undefined;
  /**
   * The daemon's flag `--read-timeout`, seconds, default 23, at least 0.5: it closes connections that are silent for so
   * long. If it closes one sooner, the locks on that one are lost; a `degraded` event says so, and from then on the client
   * sends heartbeats more often.
   */
  readTimeoutS?: number | undefined;
  /** The same as the option `renewRatio` of the client. */
  renewRatio?: number | undefined;
  /**
   * Bounds of the delay between attempts to connect, in milliseconds; defaults 50 and 5000. The delay doubles from attempt to
   * attempt, at random below its bound, and starts over once the server has answered. After a refused token or certificate
   * it is the longest.
   */
  reconnect?: { minDelayMs?: number | undefined; maxDelayMs?: number | undefined } | undefined;
  /**
   * The daemon's flag `--auto-release-on-disconnect`, default true as there; it cannot be asked for. With `false` a lock
   * outlives its connection until its lease ends, and so does one whose holder has died.
   */
  autoRelease?: boolean | undefined;
  /**
   * Connections to each server that all callers share for what does not wait: 1 to 64, default 2. When one is cut, the
   * locks are lost that were acquired on it.
   */
  commandLanes?: number | undefined;
  /**
   * Most connections to each server for callers that wait, and for the locks they got by waiting, until these are
   * released: an integer of at least 1, default 1024; `Infinity` for no bound. When they run out, those who wait for
   * further keys ask again and again instead (every 25 to 250 ms), which an event `degraded` tells, and end with a
   * PoolExhaustedError if their time runs out first. They do the same when the server takes no more connections.
   */
  maxWaitLanes?: number | undefined;
  /**
   * Places of this process in the daemon's queue of one key, each on a connection of its own; the other callers wait
   * for them in order. An integer of at least 1, default 2; `Infinity` only together with `maxWaitLanes: Infinity`.
   * Within a process the order is that of arrival, whatever the number. Between processes it is so among the first
   * `waitersPerKey` of each: with 100 callers in one process against a single one in another, all with 1 ms of work, the
   * single caller waits 3 / 4 / 18 / 150 ms at 1 / 2 / 8 / `Infinity`. A process that is stopped while it waits costs those
   * behind it one `placeLeaseS` for each place. 1 gives processes equal turns; `Infinity` gives the daemon's strict order
   * at the price of one connection per caller.
   */
  waitersPerKey?: number | undefined;
  /**
   * Longest lease, in seconds, that a place in the daemon's queue asks for; above 0, default 3, rounded up to whole seconds on
   * the wire. A process that is stopped while it waits takes the lock once for each of its places, and keeps the others out for
   * this long each time. Whoever gets the lock renews it to `leaseTtlS` before it begins to work, one request more for each lock
   * that was waited for; until that is answered, it counts as held for this long only.
   */
  placeLeaseS?: number | undefined;
  /**
   * `token`: handles show the first half of their token as `fence`, for daemons whose tokens begin with a rising number
   * (dflockd 2.1 and later, and the one in this package). Default `none`: tokens of dflockd 1.x and 2.0 are random, and
   * a random number stored as the highest fence blocks a row for ever. A fence that does not rise is reported by an
   * event `degraded`, and from then on that server's fences are not shown any more.
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

/** Timers hold no longer delays. */
const MAX_MS = 2_147_483_647;

/** @throws ConfigError that names option and value */
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
    // The value is a secret: it is the one that is not shown.
    throw new ConfigError('option remote.auth: expected a token without line breaks, NUL and white space at its ends');
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
