import { checkLockIds, type LockIds } from '../backends/postgres/ids/lock-id-option.js';
import { checkNames, checkNumber, checkObject, MAX_TIMER_SECONDS } from '../common/option-checks.js';
import type { Ms } from '../common/system.js';
import { checkNamespace } from '../locks/options/keys.js';

export interface TransactionLockOptions {
  /** The `namespace` of the module or client with which the lock is shared. Default: none. */
  namespace?: string | undefined;
  /** The `lockId` of the backend with which the lock is shared. Default: `'sha256'`. */
  lockId?: LockIds | undefined;
}

export interface LockInTransactionOptions extends TransactionLockOptions {
  /**
   * How long to wait, in milliseconds. The transaction holds its connection meanwhile. 0: only try.
   * Default: the `lock_timeout` of the session; if that is 0, 10,000.
   */
  timeoutMs?: number | undefined;
}

export interface ResolvedLockOptions {
  readonly namespace: string | undefined;
  readonly lockId: LockIds;
  /** Whole milliseconds. Undefined: as the session has it. */
  readonly timeoutMs: Ms | undefined;
}

/** @throws ConfigError */
export function resolveLockOptions(given: unknown, known: readonly string[]): ResolvedLockOptions {
  const options = checkObject('options', given);
  checkNames('', options, known);
  const timeoutMs = checkNumber('timeoutMs', options['timeoutMs'], { min: 0, max: MAX_TIMER_SECONDS * 1000 });
  return {
    namespace: checkNamespace(options['namespace']),
    lockId: checkLockIds('lockId', options['lockId']),
    timeoutMs: timeoutMs === undefined ? undefined : Math.ceil(timeoutMs),
  };
}
