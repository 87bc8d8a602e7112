import type { ConnectionOptions } from 'node:tls';
import type { Endpoint, RemoteConfig } from '../../backends/dflockd/lanes/config.js';
import { hostFault, showAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { DEFAULT_HOST, DEFAULT_PORT, DEFAULT_READ_TIMEOUT_S, LONG_LINE_CAP } from '../../protocol/limits.js';
import { checkBounds } from './bounds.js';
import { checkNames, checkNumber, checkObject, wrong } from '../../common/option-checks.js';
import type { ShardingStrategy } from './options.js';

export const DEFAULT_RENEW_RATIO = 0.5;
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_REQUEST_TIMEOUT_MS = 5000;
const DEFAULT_MIN_DELAY_MS = 50;
const DEFAULT_MAX_DELAY_MS = 5000;
const DEFAULT_COMMAND_LANES = 2;
const MOST_COMMAND_LANES = 64;
const DEFAULT_MAX_WAIT_LANES = 1024;
const DEFAULT_WAITERS_PER_KEY = 2;
const DEFAULT_PLACE_LEASE_S = 3;

const KNOWN = [
  'tls', 'auth', 'shardingStrategy', 'connectTimeoutMs', 'requestTimeoutMs', 'readTimeoutS', 'renewRatio', 'reconnect',
  'autoRelease', 'commandLanes', 'maxWaitLanes', 'waitersPerKey', 'placeLeaseS', 'fencing',
]; // prettier-ignore

/** Timers hold no longer delays. */
const MOST_MS = 2_147_483_647;

/** @throws ConfigError that names option and value */
export function resolveRemote(servers: unknown, remote: unknown = {}): RemoteConfig {
  const options = checkObject('remote', remote);
  checkNames('remote', options, KNOWN);
  const milliseconds = (name: string, otherwise: number): number =>
    checkNumber(`remote.${name}`, options[name], { min: 1, max: MOST_MS }) ?? otherwise;
  checkNumber('remote.renewRatio', options.renewRatio, { min: 0, max: 1, open: true });
  return Object.freeze({
    endpoints: resolveServers(servers),
    tls: options.tls === undefined ? undefined : (checkObject('remote.tls', options.tls) as ConnectionOptions),
    auth: checkAuth(options.auth),
    shardingStrategy: checkStrategy(options.shardingStrategy),
    connectTimeoutMs: milliseconds('connectTimeoutMs', DEFAULT_CONNECT_TIMEOUT_MS),
    requestTimeoutMs: milliseconds('requestTimeoutMs', DEFAULT_REQUEST_TIMEOUT_MS),
    readTimeoutMs:
      (checkNumber('remote.readTimeoutS', options.readTimeoutS, { min: 0.5, max: MOST_MS / 1000 }) ??
        DEFAULT_READ_TIMEOUT_S) * 1000,
    reconnect: resolveReconnect(options.reconnect),
    commandLanes:
      checkNumber('remote.commandLanes', options.commandLanes, { min: 1, max: MOST_COMMAND_LANES, integer: true }) ??
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
  const placeLeaseS = checkBounds('remote.placeLeaseS', options.placeLeaseS) ?? DEFAULT_PLACE_LEASE_S;
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
  const delay = (name: string) => checkNumber(`remote.reconnect.${name}`, options[name], { min: 1, max: MOST_MS });
  const minDelayMs = delay('minDelayMs') ?? Math.min(DEFAULT_MIN_DELAY_MS, delay('maxDelayMs') ?? Infinity);
  const maxDelayMs = delay('maxDelayMs') ?? Math.max(DEFAULT_MAX_DELAY_MS, minDelayMs);
  if (maxDelayMs < minDelayMs)
    throw wrong('remote.reconnect.maxDelayMs', `at least minDelayMs (${minDelayMs})`, maxDelayMs);
  return Object.freeze({ minDelayMs, maxDelayMs });
}

function resolveServers(value: unknown): readonly Endpoint[] {
  if (value === undefined) return Object.freeze([endpoint(DEFAULT_HOST, DEFAULT_PORT)]);
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConfigError(`option servers: expected a list of at least one address, got ${showAddress(value)}`);
  }
  const endpoints = value.map((address: unknown, i) => parseAddress(`servers[${i}]`, address));
  const twice = endpoints.find(({ label }, i) => endpoints.findIndex((other) => other.label === label) !== i);
  if (twice) throw wrong('servers', 'each address once', twice.label);
  return Object.freeze(endpoints);
}

const endpoint = (host: string, port: number): Endpoint =>
  Object.freeze({ host, port, label: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` });

/** `host`, `host:port`, `[v6]:port`, `[host, port]`. @throws ConfigError */
export function parseAddress(option: string, value: unknown, least: 0 | 1 = 1): Endpoint {
  const [host, port] = splitAddress(value);
  const number = typeof port === 'string' && /^[0-9]+$/.test(port) ? Number(port) : port;
  const fault = addressFault(value, host);
  const valid = Number.isInteger(number) && Number(number) >= least && Number(number) <= 65_535;
  if (fault !== undefined || typeof host !== 'string' || !valid) {
    const reason = fault === undefined ? '' : `; ${fault}`;
    throw new ConfigError(
      `option ${option}: expected host, host:port or [host, port], got ${showAddress(value)}${reason}`,
    );
  }
  return endpoint(host, Number(number));
}

/** Of all that was given before its parts: a scheme has a colon, and so has a list of addresses. */
function addressFault(value: unknown, host: unknown): string | undefined {
  const whole =
    typeof value === 'string' || value instanceof URL ? hostFault(String(value).replace(/[[\]]/g, '')) : undefined;
  if (whole !== undefined && !/colon/.test(whole)) return whole;
  return typeof host === 'string' ? hostFault(host) : undefined;
}

function splitAddress(value: unknown): [host: unknown, port: unknown] {
  if (Array.isArray(value) && value.length === 2) return [value[0], value[1]];
  if (typeof value !== 'string') return [undefined, undefined];
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(value);
  if (bracketed) return [bracketed[1], bracketed[2] ?? DEFAULT_PORT];
  const colons = value.split(':').length - 1;
  // More than one colon without brackets is an IPv6 address without port.
  if (colons !== 1) return [value, DEFAULT_PORT];
  return value.split(':') as [string, string];
}
