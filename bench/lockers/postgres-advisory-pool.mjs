// The usual recipe: an advisory lock on a connection of the application's pool, which it keeps until the release.
import pg from 'pg';

/** The default of `pg` and of most frameworks. */
const POOL_SIZE = 10;

function recipe({ url }) {
  const pool = new pg.Pool({ connectionString: url, max: POOL_SIZE });
  return async (key) => {
    const client = await pool.connect();
    await client.query('select pg_advisory_lock(hashtext($1))', [key]);
    return async () => {
      await client.query('select pg_advisory_unlock(hashtext($1))', [key]);
      client.release();
    };
  };
}

export async function open(where) {
  const acquire = recipe(where);
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

export const openHot = async (where) => recipe(where);
