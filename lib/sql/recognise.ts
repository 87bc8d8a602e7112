import { ConfigError } from '../common/errors.js';
import { kindOf } from '../common/kind-of.js';
import { type Member, type Shape, SHAPES } from './shapes.js';

/** The columns of a row, by their names. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Something that runs SQL, of one of the libraries that are known. */
export interface RecognisedSql {
  /** As it calls itself: 'TypeORM'. */
  readonly library: string;
  /**
   * Runs one statement, which has no parameters: libraries write them differently. Rejects with the error of the
   * library, and with a ConfigError if what it answers has no rows.
   */
  query(text: string): Promise<readonly SqlRow[]>;
  /** The error that says that no transaction is open, and how to begin one with this library. */
  notInTransaction(): ConfigError;
}

type Method = (...args: never[]) => unknown;

/**
 * A transaction of pg, TypeORM, Prisma, Knex, Kysely, Drizzle, MikroORM or postgres.js: the object that their
 * callbacks get or, for pg, the client on which the transaction was begun.
 */
export type SqlTransaction =
  | { readonly $queryRawUnsafe: Method }
  | { readonly unsafe: Method }
  | { readonly executeQuery: Method }
  | { readonly getConnection: Method; readonly getTransactionContext: Method }
  | { readonly raw: Method; readonly commit: Method }
  | { readonly execute: Method; readonly transaction: Method }
  | { readonly query: Method };

/**
 * Recognises a transaction by its shape, without the library that it belongs to.
 * @param where names the function that was called, for messages
 * @throws ConfigError for anything else, and for what shows that no transaction is open, such as a pool
 */
export function recogniseSql(tx: unknown, where: string): RecognisedSql {
  const member = memberOf(tx);
  const shape = SHAPES.find(({ fits }) => fits(member));
  if (!shape) throw new ConfigError(`${where}: expected a transaction of ${LIBRARIES}, got ${kindOf(tx)}${hint(tx)}`);
  const { library, begin, isClosed } = shape;
  const notInTransaction = (): ConfigError =>
    new ConfigError(
      `${where}: no transaction of ${library} is open here; begin one and give what it runs in: ${begin}`,
    );
  if (isClosed?.(member)) throw notInTransaction();
  return {
    library,
    query: async (text) => rowsOf(await shape.query(member)(text), library, where),
    notInTransaction,
  };
}

const LIBRARIES = listed(SHAPES);

function listed(shapes: readonly Shape[]): string {
  const names = shapes.map(({ library }) => library);
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

/** Objects of users may be proxies that throw. */
function memberOf(tx: unknown): Member {
  if ((typeof tx !== 'object' && typeof tx !== 'function') || tx === null) return () => undefined;
  return (name) => {
    try {
      const value: unknown = Reflect.get(tx, name);
      return typeof value === 'function' ? (value.bind(tx) as unknown) : value;
    } catch {
      return undefined;
    }
  };
}

const hint = (tx: unknown): string => (tx instanceof Promise ? '; await it first' : '');

/** Most libraries answer an array, the others the result of pg. */
function rowsOf(answer: unknown, library: string, where: string): readonly SqlRow[] {
  const rows: unknown = Array.isArray(answer) ? answer : (answer as { rows?: unknown } | null | undefined)?.rows;
  if (Array.isArray(rows) && rows.every((row) => typeof row === 'object' && row !== null && !Array.isArray(row))) {
    return rows as SqlRow[];
  }
  throw new ConfigError(`${where}: ${library} answered ${kindOf(answer)} instead of rows`);
}
