import { ConfigError, type LockError, LockUnavailableError } from '../../../common/errors.js';
import { createTable, grantRights } from './schema.js';
import type { TableName } from './table-name.js';

const LOCKED = '55P03';
const MISSING = '42P01';
const NO_SCHEMA = '3F000';
const NO_RIGHT = '42501';
const READ_ONLY = '25006';
/** No such column, no such key, other types, not a table. */
const OTHER_SHAPE: readonly unknown[] = ['42703', '42P10', '42804', '42883', '42809', '55000', '22P02', '23502'];

/**
 * What a refused statement on the table means.
 * @param role for SQL
 */
export function keptError(table: TableName, error: LockError, sqlState: string | undefined, role: string): LockError {
  const details = { cause: error, server: error.server };
  const about = `option postgresBackend.keep: the table ${table.sql}`;
  switch (sqlState) {
    case LOCKED:
      return new LockUnavailableError(`${about} is locked by another session`, details);
    case MISSING:
    case NO_SCHEMA:
      return new LockUnavailableError(`${about} is gone; create it with ${createTable(table)}`, details);
    case NO_RIGHT:
      return new ConfigError(`${about} may not be used: ${error.message}. ${cure(table, role)}`, details);
    case READ_ONLY:
      return new ConfigError(`${about} cannot be written: transactions of ${role} are read-only by default`, details);
    case undefined:
      return error;
  }
  if (!OTHER_SHAPE.includes(sqlState)) return error;
  return new ConfigError(`${about} has another shape than ${createTable(table)}: ${error.message}`, details);
}

/** @param why what the server said when the table was to be created */
export function missingTable(table: TableName, role: string, why?: LockError): ConfigError {
  const reason = why ? `could not be created: ${why.message}` : 'does not exist';
  return new ConfigError(`option postgresBackend.keep: the table ${table.sql} ${reason}. ${cure(table, role)}`, {
    cause: why,
  });
}

/** The two statements for an administrator. */
const cure = (table: TableName, role: string): string =>
  `An administrator creates it with: ${createTable(table)}; ${grantRights(table, role)};`;
