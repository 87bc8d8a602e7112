import { EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import { PrismaPg } from '@prisma/adapter-pg';
import { drizzle } from 'drizzle-orm/postgres-js';
import knexOf from 'knex';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import postgres from 'postgres';
import { DataSource, EntitySchema as TypeOrmSchema } from 'typeorm';
import type { SqlTransaction } from '../../../../lib/sql/recognise.js';
import { PrismaClient } from './prisma-client.js';

type Within = (tx: SqlTransaction) => Promise<void>;
type Kind = (url: string, within: Within) => Promise<void>;

const account = { name: 'account', columns: { id: { type: 'int', primary: true } } } as const;

function typeOrm(run: (source: DataSource, within: Within) => Promise<void>): Kind {
  return async (url, within) => {
    const entities = [new TypeOrmSchema<{ id: number }>(account)];
    const source = await new DataSource({ type: 'postgres', url, entities }).initialize();
    await run(source, within).finally(() => source.destroy());
  };
}

function typeOrmByHand(pick: (runner: ReturnType<DataSource['createQueryRunner']>) => SqlTransaction): Kind {
  return typeOrm(async (source, within) => {
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    await within(pick(runner)).finally(() => runner.rollbackTransaction());
    await runner.release();
  });
}

function prisma(run: (client: any, within: (tx: never) => Promise<void>) => Promise<void>): Kind {
  return async (connectionString, within) => {
    const client = new PrismaClient({ adapter: new PrismaPg({ connectionString }) });
    await run(client, within).finally(() => client.$disconnect());
  };
}

function knex(run: (client: ReturnType<typeof knexOf>, within: Within) => Promise<void>): Kind {
  return async (connection, within) => {
    const client = knexOf({ client: 'pg', connection });
    await run(client, within).finally(() => client.destroy());
  };
}

function postgresJs(run: (sql: postgres.Sql, within: Within) => Promise<void>): Kind {
  return async (url, within) => {
    const sql = postgres(url, { onnotice: () => undefined });
    await run(sql, within).finally(() => sql.end());
  };
}

function mikroOrm(run: (em: MikroORM['em'] & { global: MikroORM['em'] }, within: Within) => Promise<void>): Kind {
  return async (clientUrl, within) => {
    const entity = new EntitySchema<{ id: number }>({
      name: 'Account',
      properties: { id: { type: 'number', primary: true } },
    });
    const orm = await MikroORM.init({ clientUrl, entities: [entity] });
    await run(Object.assign(orm.em.fork(), { global: orm.em }), within).finally(() => orm.close());
  };
}

/** Transactions that are begun by hand, nested, extended or over another driver. */
export const KINDS: Readonly<Record<string, Kind>> = {
  'pg: a client of its own, in the extended protocol': async (connectionString, within) => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    await client.query('begin');
    await within({ query: (text: string) => client.query({ text, queryMode: 'extended' } as pg.QueryConfig) });
    await client.end();
  },
  'TypeORM: a query runner': typeOrmByHand((runner) => runner),
  'TypeORM: the manager of a query runner': typeOrmByHand((runner) => runner.manager),
  'TypeORM: a repository of a transaction': typeOrm((source, within) =>
    source.transaction((em) => within(em.getRepository('account'))),
  ),
  'TypeORM: a transaction in a transaction': typeOrm((source, within) =>
    source.transaction((em) => em.transaction((inner) => within(inner))),
  ),
  'Prisma: a transaction in a transaction': prisma((client, within) =>
    client.$transaction((tx: any) => tx.$transaction((inner: never) => within(inner))),
  ),
  'Prisma: an extended client': prisma((client, within) =>
    client.$extends({ query: { $allOperations: ({ args, query }: any) => query(args) } }).$transaction(within),
  ),
  'Knex: a transaction without a callback': knex(async (client, within) => {
    const trx = await client.transaction();
    await within(trx).finally(() => trx.rollback());
  }),
  'Knex: a transaction in a transaction': knex((client, within) =>
    client.transaction((trx) => trx.transaction((inner) => within(inner))),
  ),
  'Kysely: a controlled transaction': async (connectionString, within) => {
    const db = new Kysely<object>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString }) }) });
    const trx = await db.startTransaction().execute();
    await within(trx).finally(() => trx.rollback().execute());
    await db.destroy();
  },
  'Drizzle: on postgres.js': postgresJs((sql, within) => drizzle(sql).transaction((tx) => within(tx))),
  'Drizzle: a transaction in a transaction': postgresJs((sql, within) =>
    drizzle(sql).transaction((tx) => tx.transaction((inner) => within(inner))),
  ),
  'MikroORM: begin and rollback': mikroOrm(async (em, within) => {
    await em.begin();
    await within(em).finally(() => em.rollback());
  }),
  // What Nest injects, below `@Transactional`.
  'MikroORM: the global em, in the callback': mikroOrm((em, within) =>
    em.global.transactional(() => within(em.global)),
  ),
  'MikroORM: a transaction in a transaction': mikroOrm((em, within) =>
    em.transactional((outer) => outer.transactional((inner) => within(inner))),
  ),
  'postgres.js: a savepoint': postgresJs(async (sql, within) => {
    await sql.begin((tx) => tx.savepoint((inner) => within(inner)));
  }),
  'postgres.js: a reserved connection': postgresJs(async (sql, within) => {
    const reserved = await sql.reserve();
    await reserved.unsafe('begin');
    await within(reserved).finally(() => reserved.unsafe('rollback'));
    reserved.release();
  }),
};
