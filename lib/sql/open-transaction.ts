import { ConfigError } from '../common/errors.js';
import { show } from '../common/shown.js';
import { type RecognisedSql, recogniseSql, type SqlRow } from './recognise.js';
import { sqlStateOf } from './sql-state.js';

/** A transaction of Postgres that was open a moment ago. */
export interface OpenTransaction extends RecognisedSql {
  /**
   * A condition that is true in this transaction only. A statement that may do nothing outside of it does so only if
   * this is true, and then it is certain that a transaction surrounds it.
   */
  readonly guard: string;
  /** What was asked for with `facts`. */
  readonly facts: SqlRow;
}

/**
 * Recognises a transaction of Postgres, and asks the server when it began.
 *
 * Two statements have the same `now()` in one session if one transaction surrounds both, and never otherwise. One statement
 * alone cannot tell: `now() <> statement_timestamp()` is true outside a transaction as well if the driver sends the statement in the
 * extended protocol, where its parts arrive at different times.
 * @param facts further columns: `{ isolation: "current_setting('transaction_isolation')" }`
 * @throws ConfigError for anything else, and as `recogniseSql`
 */
export async function openTransaction(
  tx: unknown,
  where: string,
  facts: Readonly<Record<string, string>> = {},
): Promise<OpenTransaction> {
  const sql = recogniseSql(tx, where);
  const columns = Object.entries({ began: BEGAN, pid: 'pg_backend_pid()', ...facts });
  const list = columns.map(([name, expression]) => `(${expression})::text as ${name}`);
  const [row = {}] = await sql.query(`select ${list.join(', ')}`).catch((error: unknown) => {
    if (!isOtherDialect(error)) throw error;
    throw new ConfigError(`${where}: the server behind ${sql.library} does not understand SQL of Postgres`, {
      cause: error,
    });
  });
  const { began, pid, ...rest } = row;
  if (!isNumber(began) || !isNumber(pid)) {
    throw new ConfigError(`${where}: ${sql.library} does not answer as Postgres does: ${show(began)}, ${show(pid)}`);
  }
  return { ...sql, guard: `${BEGAN} = ${began} and pg_backend_pid() = ${pid}`, facts: rest };
}

/** A syntax error, or a function that does not exist: nothing that Postgres could say here, but that a right is missing. */
function isOtherDialect(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== undefined) return state.startsWith('42') && state !== '42501';
  return /^(SQLITE_|EREQUEST|ORA-)/.test(String((error as { code?: unknown } | null)?.code));
}

/** The time of now() in µs: text of it depends on settings. */
const BEGAN = '(extract(epoch from now()) * 1000000)::bigint';

const isNumber = (value: unknown): value is string => typeof value === 'string' && /^\d{1,19}$/.test(value);
