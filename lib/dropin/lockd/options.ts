import { ConfigError } from '../../common/errors.js';
import { checkNames, checkNumber, checkObject, MAX_TIMER_SECONDS, wrong } from '../../common/option-checks.js';
import type { Ms } from '../../common/system.js';
import { type LockdAddress, parseLockdAddress } from '../../protocol/lockd/address.js';

export interface LockdConnectOptions {
  /** `host:port` or `port`, on 127.0.0.1. */
  tcp: string | number;
  /** Milliseconds within which the connection must be made. Default 5,000. */
  timeout?: number | undefined;
  /** Milliseconds within which each call must be answered. A late answer closes the connection. Default 5,000. */
  readTimeout?: number | undefined;
}

export interface LockdListenOptions {
  /** `host:port` or `port`, on 127.0.0.1. Port 0 takes any free port. */
  tcp: string | number;
  /** Both default to true. */
  features?: { dump?: boolean | undefined; registry?: boolean | undefined } | undefined;
}

export interface ConnectConfig extends LockdAddress {
  readonly timeoutMs: Ms;
  readonly readTimeoutMs: Ms;
}

export interface ListenConfig extends LockdAddress {
  readonly dump: boolean;
  readonly registry: boolean;
}

const DEFAULT_TIMEOUT_MS: Ms = 5_000;

const MILLISECONDS = { min: 0, max: MAX_TIMER_SECONDS * 1000, open: true };

/** @throws ConfigError */
export function connectConfig(options: unknown): ConnectConfig {
  const given = checkObject('connect', options);
  checkNames('', given, ['tcp', 'timeout', 'readTimeout']);
  if (!isGiven(given['tcp'])) throw new ConfigError('No valid lockd connection method given.');
  return {
    ...parseLockdAddress(given['tcp'], 1),
    timeoutMs: checkNumber('timeout', given['timeout'], MILLISECONDS) ?? DEFAULT_TIMEOUT_MS,
    readTimeoutMs: checkNumber('readTimeout', given['readTimeout'], MILLISECONDS) ?? DEFAULT_TIMEOUT_MS,
  };
}

/** @throws ConfigError */
export function listenConfig(options: unknown): ListenConfig {
  const given = checkObject('listen', options);
  checkNames('', given, ['tcp', 'features']);
  if (!isGiven(given['tcp'])) throw new ConfigError('No connection methods given.');
  const features = given['features'] === undefined ? {} : checkObject('features', given['features']);
  checkNames('features', features, ['dump', 'registry']);
  const feature = (name: 'dump' | 'registry'): boolean => {
    const value = features[name] ?? true;
    if (typeof value !== 'boolean') throw wrong(`features.${name}`, 'true or false', value);
    return value;
  };
  return { ...parseLockdAddress(given['tcp'], 0), dump: feature('dump'), registry: feature('registry') };
}

const isGiven = (tcp: unknown): boolean => tcp !== undefined && tcp !== null && tcp !== '';
