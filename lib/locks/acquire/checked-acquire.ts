import type { AcquireRequest } from '../../backends/backend.js';
import { ConfigError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { checkBounds } from '../options/bounds.js';
import { lockContext } from '../handle/current-lock.js';
import type { LockedCall, Origin } from '../handle/hold.js';
import type { LockHandle } from '../handle/lock-handle.js';
import { checkNames, checkObject, wrong } from '../../common/option-checks.js';
import type { AcquireOptions } from './acquire-options.js';
import { orderedKeys } from './key-order.js';
import { type BackendLimits, leaseWithin } from '../options/backend-limits.js';
import type { LockKey } from '../options/options.js';
import { checkAcquireTimeout, checkLease, type ResolvedOptions } from '../options/resolve-options.js';

const KNOWN = ['acquireTimeoutS', 'leaseTtlS', 'limit', 'signal', 'autoRenew', 'requireFence', 'onNested'];

/** Shared by all callers that give no options: there is nothing to check. */
export const NO_OPTIONS: AcquireOptions = Object.freeze({});

export type OnNested = NonNullable<AcquireOptions['onNested']>;

/** An acquire with its options checked and the client's defaults applied. */
export interface CheckedAcquire extends Origin {
  /** As the caller wrote them, without duplicates, in the order in which they are acquired. */
  readonly keys: readonly string[];
  /** One per key. */
  readonly wires: readonly AcquireRequest[];
  readonly deadline: Ms;
  readonly waitMs: Ms;
  readonly signal: AbortSignal | undefined;
  readonly autoRenew: boolean;
  readonly requireFence: boolean;
  readonly onNested: OnNested;
}

/** What requests are checked against, and the defaults for what they omit. */
export interface RequestDefaults extends Pick<ResolvedOptions, 'namespace' | 'acquireTimeoutMs' | 'leaseMs'> {
  readonly limits: BackendLimits;
}

export const requestDefaults = (options: ResolvedOptions, limits: BackendLimits): RequestDefaults => ({
  namespace: options.namespace,
  acquireTimeoutMs: options.acquireTimeoutMs,
  leaseMs: leaseWithin(options.leaseMs, limits),
  limits,
});

/** Must be called in the caller's context. @throws LockKeyError, ConfigError */
export function checkRequest(
  key: LockKey,
  options: AcquireOptions,
  defaults: RequestDefaults,
  now: Ms,
  call?: LockedCall,
): CheckedAcquire {
  const { keys, wires } = orderedKeys(key, defaults);
  const given = options === NO_OPTIONS ? NOTHING_GIVEN : checkOptions(options, defaults.limits);
  const { limit, signal, autoRenew, requireFence, onNested } = given;
  const waitMs = given.waitMs ?? defaults.acquireTimeoutMs;
  const leaseMs = given.leaseMs ?? defaults.leaseMs;
  const kind = limit === undefined ? 'lock' : 'sem';
  const deadline = now + waitMs;
  return {
    keys,
    wires: wires.map((wire) => ({ key: wire, kind, limit: limit ?? 1, leaseMs, deadline })),
    deadline,
    waitMs,
    signal,
    autoRenew,
    requireFence,
    onNested,
    around: lockContext(),
    call,
  };
}

/** The checked options of an acquire. Undefined: the client's default. */
interface Given extends Pick<CheckedAcquire, 'signal' | 'autoRenew' | 'requireFence' | 'onNested'> {
  readonly limit: number | undefined;
  readonly waitMs: Ms | undefined;
  readonly leaseMs: Ms | undefined;
}

/** @throws ConfigError */
function checkOptions(options: AcquireOptions, limits?: BackendLimits): Given {
  checkNames('', checkObject('options', options), KNOWN);
  const { signal } = options;
  if (signal !== undefined && !isSignal(signal)) {
    throw wrong('signal', 'an AbortSignal', signal);
  }
  return {
    limit: checkBounds('limit', options.limit),
    waitMs: checkAcquireTimeout(options.acquireTimeoutS),
    leaseMs: checkLease(options.leaseTtlS, limits),
    signal,
    autoRenew: checkFlag('autoRenew', options.autoRenew) ?? true,
    requireFence: checkFlag('requireFence', options.requireFence) ?? false,
    onNested: checkOnNested(options.onNested),
  };
}

/** @throws ConfigError */
function checkOnNested(value: unknown = 'throw'): OnNested {
  if (value === 'throw' || value === 'wait' || isHandle(value)) return value;
  if (value === 'join') {
    throw new ConfigError(
      "option onNested: 'join' does not say which lock to join, and the async context does not prove that the caller holds " +
        'one; name the lock: onNested: lock, with the handle from acquire() or withLock()',
    );
  }
  throw wrong('onNested', "'throw', 'wait' or the handle of a lock", value);
}

/** @throws ConfigError */
export function checkTicketNesting(value: unknown): void {
  if (value !== 'join' && !isHandle(value)) return;
  throw new ConfigError("option onNested: a ticket cannot join a lock; expected 'throw' or 'wait'");
}

/** A handle of any client, even from another copy of this package. */
const isHandle = (value: unknown): value is LockHandle =>
  typeof value === 'object' && value !== null && 'release' in value && Array.isArray((value as LockHandle).keys);

/** The result of checking NO_OPTIONS. */
const NOTHING_GIVEN = checkOptions(NO_OPTIONS);

/** An AbortSignal of any realm. */
export const isSignal = (value: unknown): value is AbortSignal =>
  typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;

function checkFlag(option: string, value: unknown): boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean') throw wrong(option, 'true or false', value);
  return value;
}
