// The other usual recipe: a row for each lock, with a lease, over the application's pool. Whoever finds it taken tries again.
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

const POOL_SIZE = 10;
const LEASE_S = 30;
/** That of redis-semaphore. */
const RETRY_MS = 10;

const TABLE = `create table if not exists lock (key text primary key, owner uuid not null, until timestamptz not null)`;
const TAKE = `insert into lock values ($1, $2, now() + $3 * interval '1 s')
  on conflict (key) do update set owner = excluded.owner, until = excluded.until where lock.until < now()`;
const FREE = 'delete from lock where key = $1 and owner = $2';

async function recipe({ url }) {
  const pool = new pg.Pool({ connectionString: url, max: POOL_SIZE });
  // `if not exists` alone races when several processes begin at once.
  await pool.query(`begin; select pg_advisory_xact_lock(1); ${TABLE}; commit`);
  return async (key) => {
    const owner = randomUUID();
    while ((await pool.query(TAKE, [key, owner, LEASE_S])).rowCount === 0) await pause(RETRY_MS);
    return () => pool.query(FREE, [key, owner]);
  };
}

export async function open(where) {
  const acquire = await recipe(where);
  return async (key, deadline) => {
    let pairs = 0;
    do {
      const release = await acquire(key);
      await release();
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}

export const openHot = recipe;
