import { drizzle } from 'drizzle-orm/node-postgres';
import knexOf from 'knex';
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Library, Rows } from './library.js';

export const knexLibrary: Library = {
  name: 'Knex',
  async connect(connection, max) {
    const knex = knexOf({ client: 'pg', connection, pool: { min: 0, max } });
    return {
      transaction: (body, isolationLevel) =>
        knex.transaction(
          (tx) => body({ tx, query: async (text) => (await tx.raw<{ rows: Rows }>(text)).rows }),
          isolationLevel ? { isolationLevel } : {},
        ),
      outside: { knex },
      close: () => knex.destroy(),
    };
  },
};

export const kyselyLibrary: Library = {
  name: 'Kysely',
  async connect(connectionString, max) {
    const db = new Kysely<object>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString, max }) }) });
    return {
      transaction: (body, isolation) => {
        const begun = isolation ? db.transaction().setIsolationLevel(isolation) : db.transaction();
        return begun.execute((tx) =>
          body({ tx, query: async (text) => (await tx.executeQuery(CompiledQuery.raw(text))).rows as Rows }),
        );
      },
      outside: { db },
      close: () => db.destroy(),
    };
  },
};

export const drizzleLibrary: Library = {
  name: 'Drizzle',
  async connect(connectionString, max) {
    const pool = new pg.Pool({ connectionString, max });
    const db = drizzle(pool);
    return {
      transaction: (body, isolationLevel) =>
        db.transaction(
          (tx) => body({ tx, query: async (text) => (await tx.execute(text)).rows }),
          isolationLevel ? { isolationLevel } : {},
        ),
      outside: { db },
      close: () => pool.end(),
    };
  },
};
