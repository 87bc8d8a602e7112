// This package on Postgres: through its client, and the backend by itself.

import { clientLockers } from './client-lockers.mjs';

/**
 * @param {{ entry: string, postgresEntry: string, url: string, options?: object }} where URLs of entries/client.js and
 *   entries/postgres.js of the build, the address of the database, options of the backend
 */
async function connect({ entry, postgresEntry, url, options }) {
  const [{ LockClient }, { postgresBackend }] = await Promise.all([import(entry), import(postgresEntry)]);
  return LockClient.connect({ backend: postgresBackend(url, options) });
}

export const { open, openHot } = clientLockers(connect);
