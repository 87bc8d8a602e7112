import type { AcquireRequest } from '../backends/backend.js';
import { ConfigError, LockKeyError } from '../common/errors.js';
import type { Ms } from '../common/system.js';
import { wireKey } from './keys.js';
import { checkNames, checkNumber, checkObject, wrong } from './option-checks.js';
import type { AcquireOptions, LockKey } from './options.js';
import { checkAcquireTimeout, checkLease, type ResolvedOptions } from './resolve-options.js';

const KNOWN = ['acquireTimeoutS', 'leaseTtlS', 'limit', 'signal'];
const LATER = ['autoRenew', 'requireFence', 'onNested'];
/** Larger limits are refused by some servers (spec 3) and mean nothing. */
const MOST_SLOTS = 1_048_576;

/** An acquire: checked, with the client's defaults. */
export interface LockRequest {
  /** As the caller wrote it. */
  readonly key: string;
  readonly wire: AcquireRequest;
  readonly waitMs: Ms;
  readonly signal: AbortSignal | undefined;
}

/** @throws LockKeyError, ConfigError */
export function checkRequest(key: LockKey, options: AcquireOptions, defaults: ResolvedOptions, now: Ms): LockRequest {
  const only = onlyKey(key);
  const wire = wireKey(defaults.namespace, only);
  checkNames('', checkObject('options', options), KNOWN, LATER);
  const { signal } = options;
  if (signal !== undefined && !(typeof signal === 'object' && 'aborted' in signal)) {
    throw wrong('signal', 'an AbortSignal', signal);
  }
  const limit = checkNumber('limit', options.limit, { min: 1, max: MOST_SLOTS, integer: true });
  const waitMs = checkAcquireTimeout(options.acquireTimeoutS) ?? defaults.acquireTimeoutMs;
  return {
    key: only,
    wire: {
      key: wire,
      kind: limit === undefined ? 'lock' : 'sem',
      limit: limit ?? 1,
      leaseMs: checkLease(options.leaseTtlS) ?? defaults.leaseMs,
      deadline: now + waitMs,
    },
    waitMs,
    signal,
  };
}

/** @throws LockKeyError, ConfigError */
export function onlyKey(key: LockKey): string {
  if (typeof key === 'string' || !Array.isArray(key)) return key as string;
  if (key.length === 0) throw new LockKeyError('an empty list of keys');
  if (key.length > 1) throw new ConfigError(`several keys at once are not supported yet, got ${key.join(', ')}`);
  return key[0] as string;
}
