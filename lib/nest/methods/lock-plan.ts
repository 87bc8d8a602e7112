import { ConfigError, type AcquireTimeoutError } from '../../common/errors.js';
import { checkBounds } from '../../locks/options/bounds.js';
import type { LockedCall } from '../../locks/handle/hold.js';
import { NO_OPTIONS } from '../../locks/acquire/checked-acquire.js';
import { checkNames, checkObject, wrong } from '../../common/option-checks.js';
import { holdTimes } from '../../locks/handle/minimum-hold.js';
import type { ScopeOptions } from '../../locks/lock-scope.js';
import { checkAcquireTimeout, checkLease } from '../../locks/options/resolve-options.js';
import { DEFAULT_INSTANCE } from '../shared/dflockd.constants.js';
import { located, MESSAGES } from '../shared/dflockd.messages.js';
import { compileKey, type KeyMaker } from './compile-key.js';

/** What a decorator requests, checked and complete. */
export interface LockPlan {
  /** `OrderService.pay`, as shown in errors. */
  readonly method: string;
  readonly instance: string;
  readonly key: KeyMaker;
  readonly onBusy: 'throw' | 'skip' | ((busy: AcquireTimeoutError, ...args: unknown[]) => unknown);
  readonly onLost: 'throw' | 'ignore';
  /** Aborts the wait; derived from the call. */
  readonly signal: ((...args: unknown[]) => unknown) | undefined;
  /** What the decorator sets itself; the module's defaults apply to the rest. */
  readonly scope: Readonly<
    Pick<ScopeOptions, 'acquireTimeoutS' | 'leaseTtlS' | 'limit' | 'onNested' | 'minHoldS' | 'maxHoldS'>
  >;
  /** The method that the decorator is applied to, if it wraps one. */
  readonly at: LockedCall['method'] | undefined;
  /** Whether it joins the lock of an override that calls the method as its `super`. */
  readonly joins: boolean;
  /** What the method returns, which tells how long it is active. */
  readonly returns: 'promise' | 'observable' | 'generator';
}

const KNOWN = [
  'onBusy',
  'onLost',
  'limit',
  'minHoldS',
  'maxHoldS',
  'instance',
  'acquireTimeoutS',
  'leaseTtlS',
  'onNested',
  'returns',
  'signal',
];
const ON_NESTED: readonly unknown[] = ['throw', 'join', 'wait'];

/**
 * @param decorator its name in the source
 * @param generates whether the method is an async generator
 * @param at the method that the decorator is applied to, if it wraps one
 * @throws ConfigError naming decorator, method, option and value
 */
export function planOf(
  decorator: string,
  method: string,
  key: unknown,
  options: unknown = {},
  generates = false,
  at?: LockedCall['method'],
): LockPlan {
  const where = `${decorator} on ${method}`;
  const checked = located(where, () => check(checkObject('options', options), generates));
  return { method, key: compileKey(where, key), at, ...checked };
}

function check(
  options: Readonly<Record<string, unknown>>,
  generates: boolean,
): Omit<LockPlan, 'method' | 'key' | 'at'> {
  checkNames('', options, KNOWN);
  const {
    onBusy = 'throw',
    onLost = 'throw',
    instance = DEFAULT_INSTANCE,
    acquireTimeoutS,
    leaseTtlS,
    limit,
    onNested,
    minHoldS,
    maxHoldS,
    signal,
  } = options;
  const returns = checkReturns(options.returns, generates);
  if (onBusy === 'skip' && returns !== 'promise') throw new ConfigError(MESSAGES.skipOnStream(A[returns]));
  if (onBusy !== 'throw' && onBusy !== 'skip' && typeof onBusy !== 'function') {
    throw wrong('onBusy', "'throw', 'skip' or a function", onBusy);
  }
  if (onLost !== 'throw' && onLost !== 'ignore') throw wrong('onLost', "'throw' or 'ignore'", onLost);
  if (signal !== undefined && typeof signal !== 'function') {
    throw wrong('signal', 'a function that returns an AbortSignal or undefined', signal);
  }
  if (typeof instance !== 'string' || instance === '') throw wrong('instance', 'a name', instance);
  checkAcquireTimeout(acquireTimeoutS);
  checkLease(leaseTtlS);
  if (onNested !== undefined && !ON_NESTED.includes(onNested))
    throw wrong('onNested', "'throw', 'join' or 'wait'", onNested);
  checkBounds('limit', limit);
  holdTimes(minHoldS, maxHoldS, Infinity);
  const scope = {
    // With `skip` a call does not wait, unless `acquireTimeoutS` is set.
    ...defined('acquireTimeoutS', acquireTimeoutS ?? (onBusy === 'skip' ? 0 : undefined)),
    ...defined('leaseTtlS', leaseTtlS),
    ...defined('limit', limit),
    ...defined('onNested', onNested === 'join' ? undefined : onNested),
    ...defined('minHoldS', minHoldS),
    ...defined('maxHoldS', maxHoldS),
  };
  return {
    instance,
    onBusy: onBusy as LockPlan['onBusy'],
    onLost,
    signal: signal as LockPlan['signal'],
    returns,
    joins: onNested === 'join',
    // The identity of NO_OPTIONS tells the client that there is nothing to check.
    scope: Object.keys(scope).length > 0 ? scope : NO_OPTIONS,
  };
}

const A = { observable: 'an Observable', generator: 'an async generator' } as const;

function checkReturns(value: unknown, generates: boolean): LockPlan['returns'] {
  if (value !== undefined && value !== 'observable') throw wrong('returns', "'observable'", value);
  if (value && generates) throw new ConfigError(MESSAGES.observableGenerator);
  return generates ? 'generator' : (value ?? 'promise');
}

const defined = (name: string, value: unknown) => (value === undefined ? undefined : { [name]: value });
