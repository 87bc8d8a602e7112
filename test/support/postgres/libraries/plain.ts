import pg from 'pg';
import postgres from 'postgres';
import type { Inside, Library, Rows } from './library.js';

export const pgLibrary: Library = {
  name: 'pg',
  async connect(connectionString, max) {
    const pool = new pg.Pool({ connectionString, max });
    const idle = new pg.Client({ connectionString });
    await idle.connect();
    return {
      async transaction(body, isolation) {
        const client = await pool.connect();
        try {
          await client.query(isolation ? `begin isolation level ${isolation}` : 'begin');
          const result = await body({ tx: client, query: async (text) => (await client.query(text)).rows as Rows });
          await client.query('commit');
          return result;
        } catch (error) {
          await client.query('rollback');
          throw error;
        } finally {
          client.release();
        }
      },
      outside: { pool, client: idle },
      async close() {
        await idle.end();
        await pool.end();
      },
    };
  },
};

export const postgresJs: Library = {
  name: 'postgres.js',
  async connect(url, max) {
    // As behind a pooler in transaction mode.
    const sql = postgres(url, { max, prepare: false, onnotice: () => undefined });
    const reserved = await sql.reserve();
    return {
      transaction: (async (body: (inside: Inside) => Promise<unknown>, isolation?: string) =>
        sql.begin(isolation ? `isolation level ${isolation}` : '', (tx) =>
          body({ tx, query: async (text) => [...(await tx.unsafe<Record<string, unknown>[]>(text))] }),
        )) as never,
      outside: { sql, reserved },
      async close() {
        reserved.release();
        await sql.end();
      },
    };
  },
};
