// The Postgres for contestants: the newest that is here. Where there is none, packages of npm are fetched.
import { providePostgres } from '../../scripts/postgres-server.mjs';

/** The folder of its programs. @returns {string | undefined} */
export const findPostgres = () => Object.values(providePostgres()).at(-1);
