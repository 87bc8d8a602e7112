import { LockKeyError } from '../../common/errors.js';
import { kindOf } from '../../common/kind-of.js';
import { checkNames, checkNumber, checkObject, wrong } from '../../common/option-checks.js';
import { LONGEST_TIMER, type Ms } from '../../common/system.js';

/** Options of a `Lock`. */
export interface LockOptions {
  /** Lease of a lock, in milliseconds. Default 10,000. */
  ttl?: number | undefined;
  /** Comes before the keys in Redis. Default `'lock:'`; may be empty. */
  prefix?: string | undefined;
}

/** Options of `acquire` and `using`. */
export interface AcquireOptions {
  /** Lease of this lock, in milliseconds. Default: `ttl` of the `Lock`. */
  ttl?: number | undefined;
  /** `true`: extends the lock by its `ttl` whenever half of that is over, until it is released or lost. Default `false`. */
  autoExtend?: boolean | undefined;
  /** How often to try again if somebody else has the lock; `Infinity`: until it is free. Default 0. */
  retryCount?: number | undefined;
  /** Time between two tries, in milliseconds. Default 200. */
  retryDelay?: number | undefined;
}

/** The options of a `Lock`, checked and complete. */
export interface LockConfig {
  readonly ttl: Ms;
  readonly prefix: string;
}

/** The options of one `acquire` or `using`, checked and complete. */
export interface AcquireConfig {
  readonly ttl: Ms;
  readonly autoExtend: boolean;
  readonly retryCount: number;
  readonly retryDelay: Ms;
}

const DEFAULT_TTL_MS = 10_000;
const DEFAULT_DELAY_MS = 200;

/** A lease. @throws ConfigError */
export const checkTtl = (option: string, value: unknown): Ms | undefined =>
  checkNumber(option, value, { min: 1, integer: true });

/** @throws ConfigError */
export function resolveLock(value: unknown = {}): LockConfig {
  const options = checkObject('Lock', value);
  checkNames('Lock', options, ['ttl', 'prefix']);
  const { prefix = 'lock:' } = options;
  if (typeof prefix !== 'string') throw wrong('Lock.prefix', 'a string', prefix);
  return { ttl: checkTtl('Lock.ttl', options.ttl) ?? DEFAULT_TTL_MS, prefix };
}

/** @throws ConfigError */
export function resolveAcquire(value: unknown = {}, ttl: Ms): AcquireConfig {
  const options = checkObject('acquire', value);
  checkNames('acquire', options, ['ttl', 'autoExtend', 'retryCount', 'retryDelay']);
  const { autoExtend = false, retryCount } = options;
  if (typeof autoExtend !== 'boolean') throw wrong('acquire.autoExtend', 'true or false', autoExtend);
  const retryDelay = checkNumber('acquire.retryDelay', options.retryDelay, { min: 0, max: LONGEST_TIMER });
  return {
    ttl: checkTtl('acquire.ttl', options.ttl) ?? ttl,
    autoExtend,
    retryCount:
      retryCount === Infinity
        ? Infinity
        : (checkNumber('acquire.retryCount', retryCount, { min: 0, integer: true }) ?? 0),
    retryDelay: retryDelay ?? DEFAULT_DELAY_MS,
  };
}

/** @throws LockKeyError */
export function checkResource(value: unknown): asserts value is string {
  if (typeof value === 'string' && value !== '') return;
  throw new LockKeyError(`resource: expected a string that is not empty, got ${value === '' ? "''" : kindOf(value)}`);
}
