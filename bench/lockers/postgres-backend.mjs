// This package on Postgres: through its client, and the backend by itself.

/**
 * @param {{ entry: string, postgresEntry: string, url: string, options?: object }} where URLs of entries/client.js and
 *   entries/postgres.js of the build, the address of the database, options of the backend
 */
async function connect({ entry, postgresEntry, url, options }) {
  const [{ LockClient }, { postgresBackend }] = await Promise.all([import(entry), import(postgresEntry)]);
  return LockClient.connect({ backend: postgresBackend(url, options) });
}

export async function open(where) {
  const client = await connect(where);
  return async (key, deadline) => {
    let pairs = 0;
    do {
      const lock = await client.acquire(key);
      await lock.release();
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}

/** Acquires a key that others want. @returns how to release it */
export async function openHot(where) {
  const client = await connect(where);
  return async (key) => {
    const lock = await client.acquire(key);
    return () => lock.release();
  };
}
