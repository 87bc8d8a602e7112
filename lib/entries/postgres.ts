/** Locks in Postgres: `nestjs-dflockd/postgres`. */
export type { PostgresBackendOptions } from '../backends/postgres/options.js';
export { postgresBackend } from '../backends/postgres/postgres-backend.js';
export type { PostgresStats } from '../backends/postgres/postgres-stats.js';
export type { PostgresConfig, PostgresPool, PostgresSource } from '../backends/postgres/sessions/source.js';
export type { LockIds } from '../backends/postgres/ids/lock-id-option.js';
export type { SqlTransaction } from '../sql/recognise.js';
export {
  lockId,
  lockInTransaction,
  type TransactionLock,
  tryLockInTransaction,
} from '../transactions/lock-in-transaction.js';
export type { LockInTransactionOptions, TransactionLockOptions } from '../transactions/options.js';
