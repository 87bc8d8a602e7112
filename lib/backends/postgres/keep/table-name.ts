import { wrong } from '../../../common/option-checks.js';

/** A table with its schema. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
  /** For SQL, quoted where it has to be. */
  readonly sql: string;
}

/** Postgres cuts longer names, so that two of them could be the same table. */
const MAX_NAME_BYTES = 63;

/** A name as in SQL: plain, and then in lower case whatever was written, or in double quotes. */
const PART = '([A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*|"(?:[^"]|"")+")';
const WITH_SCHEMA = new RegExp(`^${PART}\\.${PART}$`);

/** Words that need no quotes. Any other may be a keyword, in this version of Postgres or the next. */
const PLAIN: readonly string[] = ['public', 'dflockd_kept'];

const nameOf = (part: string): string =>
  part.startsWith('"')
    ? part.slice(1, -1).replaceAll('""', '"')
    : part.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** An identifier for SQL. */
export const quoted = (name: string): string => (PLAIN.includes(name) ? name : `"${name.replaceAll('"', '""')}"`);

const isName = (name: string): boolean => !name.includes('\0') && Buffer.byteLength(name) <= MAX_NAME_BYTES;

/** The default table. */
export const KEPT_TABLE = 'public.dflockd_kept';

/**
 * @param option its name, for the error
 * @param value `schema.table`, written as in SQL
 * @throws ConfigError
 */
export function tableNameOf(option: string, value: unknown): TableName {
  const parts = typeof value === 'string' ? WITH_SCHEMA.exec(value) : null;
  const [schema, table] = (parts ?? []).slice(1).map(nameOf);
  if (schema === undefined || table === undefined || !isName(schema) || !isName(table)) {
    throw wrong(option, 'a table with its schema, such as "public.dflockd_kept", written as in SQL', value);
  }
  return { schema, table, sql: `${quoted(schema)}.${quoted(table)}` };
}

/**
 * An option `keep`: the table for holds that outlive their process; undefined without it.
 * @throws ConfigError
 */
export function checkKeep(option: string, value: unknown): TableName | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return tableNameOf(option, KEPT_TABLE);
  if (typeof value !== 'string') throw wrong(option, 'true, false or a table with its schema', value);
  return tableNameOf(option, value);
}
