/** A member of what was given, methods bound to it; undefined without, and if it throws. */
export type Member = (name: string) => unknown;

type Query = (text: string) => unknown;

/** How a library is recognised, and how it runs a statement. */
export interface Shape {
  readonly library: string;
  /** How its users begin a transaction, for messages. */
  readonly begin: string;
  readonly fits: (member: Member) => boolean;
  /** Whether no transaction is open, as far as the object shows: the server has the last word. */
  readonly isClosed?: (member: Member) => boolean;
  readonly query: (member: Member) => Query;
}

type Call = (...args: unknown[]) => unknown;

const has = (member: Member, ...names: readonly string[]): boolean =>
  names.every((name) => typeof member(name) === 'function');
const call = (member: Member, name: string, ...args: unknown[]): unknown => (member(name) as Call)(...args);

const PRISMA: Shape = {
  library: 'Prisma',
  begin: 'prisma.$transaction(async (tx) => …)',
  fits: (member) => has(member, '$queryRawUnsafe'),
  query: (member) => (text) => call(member, '$queryRawUnsafe', text),
};

const POSTGRES_JS: Shape = {
  library: 'postgres.js',
  begin: 'sql.begin(async (tx) => …)',
  fits: (member) => has(member, 'unsafe'),
  // A reserved connection has no `begin`.
  isClosed: (member) => has(member, 'begin'),
  query: (member) => (text) => call(member, 'unsafe', text),
};

const KYSELY: Shape = {
  library: 'Kysely',
  begin: 'db.transaction().execute(async (trx) => …)',
  fits: (member) => has(member, 'executeQuery'),
  query: (member) => (text) => call(member, 'executeQuery', compiled(text)),
};

/** As `CompiledQuery.raw` makes it. */
const compiled = (text: string): object => ({
  sql: text,
  parameters: [],
  query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
  queryId: { queryId: 'nestjs-dflockd' },
});

const MIKRO_ORM: Shape = {
  library: 'MikroORM',
  begin: 'em.transactional(async (em) => …)',
  fits: (member) => has(member, 'getConnection', 'getTransactionContext'),
  isClosed: (member) => call(member, 'getTransactionContext') === undefined,
  query: (member) => (text) => {
    const connection = call(member, 'getConnection') as { execute: Call };
    return connection.execute(text, [], 'all', call(member, 'getTransactionContext'));
  },
};

const KNEX: Shape = {
  library: 'Knex',
  begin: 'knex.transaction(async (trx) => …)',
  fits: (member) => has(member, 'raw', 'transaction'),
  isClosed: (member) => !has(member, 'commit'),
  query: (member) => (text) => call(member, 'raw', text),
};

const DRIZZLE: Shape = {
  library: 'Drizzle',
  begin: 'db.transaction(async (tx) => …)',
  fits: (member) => has(member, 'execute') && typeof member('session') === 'object',
  query: (member) => (text) => call(member, 'execute', text),
};

const TYPE_ORM: Shape = {
  library: 'TypeORM',
  begin: 'dataSource.transaction(async (em) => …)',
  fits: (member) => has(member, 'query') && (typeof member('manager') === 'object' || isEntityManager(member)),
  isClosed: (member) => {
    if (isEntityManager(member)) return member('queryRunner') === undefined;
    return has(member, 'createQueryRunner') || member('isTransactionActive') === false;
  },
  query: (member) => (text) => call(member, 'query', text),
};

/** A DataSource, a QueryRunner and a Repository have one. */
const isEntityManager = (member: Member): boolean => has(member, 'getRepository', 'transaction', 'findOneBy');

const PG: Shape = {
  library: 'pg',
  begin: "await client.query('begin')",
  fits: (member) => has(member, 'query'),
  // Each query of a pool takes any connection.
  isClosed: (member) => typeof member('totalCount') === 'number',
  query: (member) => (text) => call(member, 'query', text),
};

/** In the order in which they are tried: the members of a later one may be those of an earlier one too. */
export const SHAPES: readonly Shape[] = [PRISMA, POSTGRES_JS, KYSELY, MIKRO_ORM, KNEX, DRIZZLE, TYPE_ORM, PG];
