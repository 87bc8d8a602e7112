/** Locks in Postgres: `nestjs-dflockd/postgres`. */
export type { LockIds } from '../backends/postgres/ids/lock-id-option.js';
export type { SqlTransaction } from '../sql/recognise.js';
export {
  lockId,
  lockInTransaction,
  type TransactionLock,
  tryLockInTransaction,
} from '../transactions/lock-in-transaction.js';
export type { LockInTransactionOptions, TransactionLockOptions } from '../transactions/options.js';
