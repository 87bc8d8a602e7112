import type { AcquireTimeoutError } from '../common/errors.js';
import { checkOnNested } from '../locks/lock-request.js';
import { checkNames, checkNumber, checkObject, wrong } from '../locks/option-checks.js';
import type { AcquireOptions } from '../locks/options.js';
import { checkAcquireTimeout, checkLease } from '../locks/resolve-options.js';
import { DEFAULT_INSTANCE } from './dflockd.constants.js';
import { located } from './dflockd.messages.js';
import { compileKey, type KeyMaker } from './key-template.js';

/** What a decorator asks for, checked and complete: nothing in it is wrong or missing any more. */
export interface LockPlan {
  /** `OrderService.pay`, as shown in errors. */
  readonly method: string;
  readonly instance: string;
  readonly key: KeyMaker;
  readonly onBusy: 'throw' | 'skip' | ((busy: AcquireTimeoutError, ...args: unknown[]) => unknown);
  readonly onLost: 'throw' | 'ignore';
  /** What the decorator names itself; the module's defaults stand for the rest. */
  readonly acquire: Pick<AcquireOptions, 'acquireTimeoutS' | 'leaseTtlS' | 'limit' | 'onNested'>;
  readonly minHoldS: number;
}

const KNOWN = ['onBusy', 'onLost', 'limit', 'minHoldS', 'instance', 'acquireTimeoutS', 'leaseTtlS', 'onNested'];
/** Options of a later version: refused by name, never ignored. */
const LATER = ['returns'];
/** Nobody means to keep a lock for more than a year. */
const MOST_HOLD_S = 365 * 24 * 3600;

/**
 * @param decorator how it is called in the source
 * @throws ConfigError naming decorator, method, option and value
 */
export function planOf(decorator: string, method: string, key: unknown, options: unknown = {}): LockPlan {
  const where = `${decorator} on ${method}`;
  const checked = located(where, () => check(checkObject('options', options)));
  return { method, key: compileKey(where, key), ...checked };
}

function check(options: Readonly<Record<string, unknown>>): Omit<LockPlan, 'method' | 'key'> {
  checkNames('', options, KNOWN, LATER);
  const {
    onBusy = 'throw',
    onLost = 'throw',
    instance = DEFAULT_INSTANCE,
    acquireTimeoutS,
    leaseTtlS,
    limit,
    onNested,
  } = options;
  if (onBusy !== 'throw' && onBusy !== 'skip' && typeof onBusy !== 'function') {
    throw wrong('onBusy', "'throw', 'skip' or a function", onBusy);
  }
  if (onLost !== 'throw' && onLost !== 'ignore') throw wrong('onLost', "'throw' or 'ignore'", onLost);
  if (typeof instance !== 'string' || instance === '') throw wrong('instance', 'a name', instance);
  checkAcquireTimeout(acquireTimeoutS);
  checkLease(leaseTtlS);
  checkOnNested(onNested);
  checkNumber('limit', limit, { min: 1, integer: true });
  return {
    instance,
    onBusy: onBusy as LockPlan['onBusy'],
    onLost,
    acquire: {
      // Who skips does not wait, unless told to.
      ...defined('acquireTimeoutS', acquireTimeoutS ?? (onBusy === 'skip' ? 0 : undefined)),
      ...defined('leaseTtlS', leaseTtlS),
      ...defined('limit', limit),
      ...defined('onNested', onNested),
    },
    minHoldS: checkNumber('minHoldS', options.minHoldS, { min: 0, max: MOST_HOLD_S }) ?? 0,
  };
}

const defined = (name: string, value: unknown) => (value === undefined ? undefined : { [name]: value });
