import { lockIdOf, MAX_KEY_BYTES } from '../backends/postgres/ids/lock-id.js';
import type { LockKind } from '../backends/backend.js';
import { AcquireTimeoutError } from '../common/errors.js';
import { wrong } from '../common/option-checks.js';
import { wireKey } from '../locks/options/keys.js';
import type { SqlTransaction } from '../sql/recognise.js';
import { sqlStateOf } from '../sql/sql-state.js';
import { fenceOf, lockableTransaction } from './lockable-transaction.js';
import {
  type LockInTransactionOptions,
  type ResolvedLockOptions,
  resolveLockOptions,
  type TransactionLockOptions,
} from './options.js';
import { idInSql, lockStatement, tryStatement } from './statements.js';

/** What the server says when `lock_timeout` is over. */
const LOCK_NOT_AVAILABLE = '55P03';

/** A lock that a transaction holds. It has no release: it ends with the transaction. */
export interface TransactionLock {
  /** Rises with each grant of the key, here and by `postgresBackend`. */
  readonly fence: bigint;
}

/**
 * Locks a key until the transaction commits or rolls back. It is the lock that `postgresBackend` takes for that key, so the
 * two exclude each other. Needs no backend, no module and no connection of its own, and works behind a pooler in
 * transaction mode.
 *
 * Call it before the transaction reads what the lock protects. A REPEATABLE READ or SERIALIZABLE transaction reads
 * everything as it was before the wait; a warning says so once per process. A lock that was taken after a
 * savepoint ends when the transaction rolls back to it.
 * @param tx the transaction object that the library passes to its callback or, for pg, the client on which the transaction was begun
 * @param key the key; if the transaction has already locked it, the call succeeds again
 * @throws AcquireTimeoutError if the lock is not free in time. Postgres has then aborted the transaction, unless
 * `timeoutMs` is 0.
 * @throws ConfigError if `tx` is not a transaction, if none is open, if the server has no advisory locks of Postgres, or if an
 * option is wrong
 * @throws LockUnavailableError if the server is a standby
 * @throws LockKeyError for an invalid key. Other errors are those of the library.
 *
 * @example
 * ```ts
 * await dataSource.transaction(async (em) => {
 *   await lockInTransaction(em, `account:${id}`, { timeoutMs: 5000 });
 *   // read and write
 * });
 * ```
 */
export async function lockInTransaction(
  tx: SqlTransaction,
  key: string,
  options: LockInTransactionOptions = {},
): Promise<TransactionLock> {
  const where = 'lockInTransaction';
  const resolved = resolveLockOptions(options, ['namespace', 'lockId', 'timeoutMs']);
  const id = idOf(key, resolved);
  const open = await lockableTransaction(tx, where);
  if (resolved.timeoutMs === 0) {
    const fence = await fenceOf(open, tryStatement(id, open.guard));
    if (fence === undefined) throw new AcquireTimeoutError(key);
    return { fence };
  }
  try {
    const fence = await fenceOf(open, lockStatement(id, open.guard, resolved.timeoutMs));
    return { fence: fence! };
  } catch (error) {
    if (sqlStateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    throw new AcquireTimeoutError(key, { cause: error });
  }
}

/**
 * Like `lockInTransaction`, but never waits.
 * @returns whether the transaction has the lock now; the transaction goes on either way
 * @throws as `lockInTransaction`, except AcquireTimeoutError
 */
export async function tryLockInTransaction(
  tx: SqlTransaction,
  key: string,
  options: TransactionLockOptions = {},
): Promise<boolean> {
  const id = idOf(key, resolveLockOptions(options, ['namespace', 'lockId']));
  const open = await lockableTransaction(tx, 'tryLockInTransaction');
  return (await fenceOf(open, tryStatement(id, open.guard))) !== undefined;
}

/**
 * The id of the advisory lock that stands for a key, for `pg_advisory_xact_lock($1)` in SQL of your own and for
 * `pg_locks`, if the option `lockId` has its default, `'sha256'`.
 * @param key with the namespace of the module, if there is one: `app:account:7`
 * @param kind `'sem'`: the gate of a semaphore, for which its waiters queue
 * @throws LockKeyError for an invalid key
 * @throws ConfigError for another kind
 */
export function lockId(key: string, kind: LockKind = 'lock'): bigint {
  if (!['lock', 'sem'].includes(kind)) throw wrong('kind', `'lock' or 'sem'`, kind);
  return lockIdOf(kind, wireKey(undefined, key, MAX_KEY_BYTES));
}

const idOf = (key: unknown, { namespace, lockId: ids }: ResolvedLockOptions): string =>
  idInSql(ids, wireKey(namespace, key, MAX_KEY_BYTES));
