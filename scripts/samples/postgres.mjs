// A Postgres server for as long as a sample runs.
import { findPostgres, NO_POSTGRES } from '../postgres-server.mjs';
import { runPostgres } from '../run-postgres.mjs';

/** Whether a sample, named by its folder, runs on Postgres. */
export const needsPostgres = (folder) => folder.includes('postgres');

/** @returns its address, and how to stop it */
export async function startPostgres() {
  const bin = Object.values(findPostgres()).at(-1);
  if (!bin) throw new Error(NO_POSTGRES);
  return runPostgres(bin);
}
