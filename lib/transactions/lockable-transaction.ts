import { ConfigError, LockUnavailableError } from '../common/errors.js';
import { shared } from '../common/shared-state.js';
import { show } from '../common/shown.js';
import { type OpenTransaction, openTransaction } from '../sql/open-transaction.js';

const FACTS = {
  isolation: "current_setting('transaction_isolation')",
  product: 'version()',
  standby: 'pg_is_in_recovery()',
};

const WARNING = 'SNAPSHOT_BEFORE_LOCK';
/** Shared by all copies of this package in the process. */
const warned = shared('transaction-lock-warnings', () => new Set<string>());

/**
 * A transaction in which an advisory lock is worth something.
 * @throws ConfigError without one, and for a server that only answers as if it locked
 * @throws LockUnavailableError for a standby: its locks concern nobody else
 */
export async function lockableTransaction(tx: unknown, where: string): Promise<OpenTransaction> {
  const open = await openTransaction(tx, where, FACTS);
  const { isolation, product, standby } = open.facts;
  if (typeof product !== 'string' || !product.startsWith('PostgreSQL')) {
    throw new ConfigError(`${where}: needs the advisory locks of PostgreSQL; the server is ${show(product)}`);
  }
  if (standby !== 'false') {
    throw new LockUnavailableError(`${where}: the server is a standby, whose locks nobody else sees; use the primary`);
  }
  if ((isolation === 'repeatable read' || isolation === 'serializable') && !warned.has(WARNING)) {
    warned.add(WARNING);
    process.emitWarning(
      `${where} in a transaction that is ${isolation.toUpperCase()}: what it reads is older than the wait for the lock, ` +
        'so that most writes after a wait fail to serialize; use READ COMMITTED',
      { type: 'DflockdWarning', code: WARNING },
    );
  }
  return open;
}

/**
 * The fence that a statement answers: the server's clock in µs, with the three digits that the backend counts in.
 * Undefined if the lock was not free.
 * @throws ConfigError if the transaction was not open: nothing was locked
 */
export async function fenceOf(open: OpenTransaction, statement: string): Promise<bigint | undefined> {
  const [row] = await open.query(statement);
  const fence = row?.fence;
  if (typeof fence !== 'string') throw open.notInTransaction();
  return fence === '-' ? undefined : BigInt(fence) * 1000n;
}
