import { postgresBackend } from '../../../lib/entries/postgres.js';

type Options = NonNullable<Parameters<typeof postgresBackend>[1]>;

/** Locks in the Postgres at a port of this machine, as the application would name it. */
export const backendAt = (port: number, options: Options = {}): ReturnType<typeof postgresBackend> =>
  postgresBackend(addressAt(port), options);

export const addressAt = (port: number): string => `postgres://postgres@127.0.0.1:${port}/postgres`;
