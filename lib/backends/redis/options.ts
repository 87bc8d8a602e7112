import { checkNames, checkNumber, checkObject, wrong } from '../../common/option-checks.js';
import type { Ms } from '../../common/system.js';

/** Options of `redisBackend`. All durations are milliseconds. */
export interface RedisBackendOptions {
  /**
   * Comes before the keys of locks, after the client's `keyPrefix`. Default `'lock:'`. Programs that share a lock must
   * use the same prefix.
   */
  prefix?: string | undefined;
  /** Comes before the keys of semaphores, after the client's `keyPrefix`. Default `'sem:'`. Must differ from `prefix`. */
  semaphorePrefix?: string | undefined;
  /** Lease of a lock if the client asks for no specific one (`leaseTtlS`). Default 33,000. */
  leaseMs?: number | undefined;
  /**
   * Interval at which a process that waits for a key reports that it is alive, and looks for lost messages and expired holders.
   * Default 1,000, at least 50.
   */
  pokeMs?: number | undefined;
  /**
   * How long a waiting process counts as alive without a report. Default 5 × `pokeMs`; at least 3 × `pokeMs`. A process that
   * has vanished may keep the others waiting for this long.
   */
  livenessMs?: number | undefined;
  /**
   * Approximate interval at which the first waiter of a queue checks a lock that another library holds.
   * Default 100, at least 10.
   */
  foreignPollMs?: number | undefined;
  /**
   * A request without an answer fails after this time, and its connection is replaced, even if it still answers others. A
   * `tryAcquire` takes no longer. Default 5,000, at least 50.
   */
  requestTimeoutMs?: number | undefined;
  /**
   * Delays between attempts to connect: random, up to a bound that doubles from `minDelayMs` (default 50) to `maxDelayMs`
   * (default 1,000). A holder that lost its lock in a failover learns of it when it reconnects.
   */
  reconnect?: { minDelayMs?: number | undefined; maxDelayMs?: number | undefined } | undefined;
  /**
   * `true`: a holder learns within milliseconds that its key was deleted, instead of at its next renewal. Needs
   * `CLIENT TRACKING`; the start fails with a ConfigError if the server refuses it or is a cluster. Default `false`.
   */
  watch?: boolean | undefined;
}

/** The options, checked and complete. */
export interface RedisConfig {
  readonly prefix: string;
  readonly semaphorePrefix: string;
  readonly leaseMs: Ms;
  readonly pokeMs: Ms;
  readonly livenessMs: Ms;
  readonly foreignPollMs: Ms;
  readonly requestTimeoutMs: Ms;
  readonly reconnect: { readonly minDelayMs: Ms; readonly maxDelayMs: Ms };
  readonly watch: boolean;
}

const KNOWN = [
  'prefix', 'semaphorePrefix', 'leaseMs', 'pokeMs', 'livenessMs', 'foreignPollMs', 'requestTimeoutMs', 'reconnect', 'watch',
]; // prettier-ignore

/** Timers hold no longer delays. */
const MAX_MS = 2_147_483_647;
/** A process may miss two of its reports. */
const LIVENESS_POKES = 3;
const DEFAULT_LIVENESS_POKES = 5;

/** @throws ConfigError that names option and value */
export function resolveRedis(value: unknown = {}): RedisConfig {
  const options = checkObject('redisBackend', value);
  checkNames('redisBackend', options, KNOWN);
  const whole = (name: string, min: number, otherwise: number): number =>
    checkNumber(`redisBackend.${name}`, options[name], { min, max: MAX_MS, integer: true }) ?? otherwise;
  const prefix = checkPrefix('prefix', options.prefix) ?? 'lock:';
  const semaphorePrefix = checkPrefix('semaphorePrefix', options.semaphorePrefix) ?? 'sem:';
  if (prefix === semaphorePrefix) {
    throw wrong('redisBackend.semaphorePrefix', 'another prefix than that of locks', semaphorePrefix);
  }
  const pokeMs = whole('pokeMs', 50, 1000);
  const livenessMs = whole('livenessMs', 1, DEFAULT_LIVENESS_POKES * pokeMs);
  if (livenessMs < LIVENESS_POKES * pokeMs) {
    throw wrong('redisBackend.livenessMs', `at least ${LIVENESS_POKES} × pokeMs (${pokeMs})`, livenessMs);
  }
  return Object.freeze({
    prefix,
    semaphorePrefix,
    leaseMs: whole('leaseMs', 1, 33_000),
    pokeMs,
    livenessMs,
    foreignPollMs: whole('foreignPollMs', 10, 100),
    requestTimeoutMs: whole('requestTimeoutMs', 50, 5000),
    reconnect: resolveReconnect(options.reconnect),
    watch: checkWatch(options.watch),
  });
}

function checkPrefix(name: string, value: unknown): string | undefined {
  if (value !== undefined && typeof value !== 'string') throw wrong(`redisBackend.${name}`, 'a string', value);
  return value;
}

function checkWatch(value: unknown = false): boolean {
  if (typeof value !== 'boolean') throw wrong('redisBackend.watch', 'true or false', value);
  return value;
}

function resolveReconnect(value: unknown = {}): RedisConfig['reconnect'] {
  const options = checkObject('redisBackend.reconnect', value);
  checkNames('redisBackend.reconnect', options, ['minDelayMs', 'maxDelayMs']);
  const delay = (name: string): number | undefined =>
    checkNumber(`redisBackend.reconnect.${name}`, options[name], { min: 1, max: MAX_MS });
  const minDelayMs = delay('minDelayMs') ?? Math.min(50, delay('maxDelayMs') ?? Infinity);
  const maxDelayMs = delay('maxDelayMs') ?? Math.max(1000, minDelayMs);
  if (maxDelayMs < minDelayMs) {
    throw wrong('redisBackend.reconnect.maxDelayMs', `at least minDelayMs (${minDelayMs})`, maxDelayMs);
  }
  return Object.freeze({ minDelayMs, maxDelayMs });
}
