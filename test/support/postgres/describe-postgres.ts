import { describe, it } from '@jest/globals';
import { DEFAULT_VERSION, PGBOUNCER, POSTGRES_IS_REQUIRED, programOf, VERSIONS, VERSIONS_HERE } from './binary.js';

/** Whether suites on Postgres run here. */
export const WITH_POSTGRES = VERSIONS_HERE.length > 0 || POSTGRES_IS_REQUIRED;

/** Whether tests on Postgres that take long run too: POSTGRES=all, as in `npm run test:postgres`. */
export const ALL_OF_POSTGRES = WITH_POSTGRES && process.env['POSTGRES'] === 'all';

/**
 * A suite that needs a server of Postgres. Without one it is left out, and the report says so; with
 * DFLOCKD_TEST_POSTGRES=required it fails.
 */
export function describePostgres(name: string, suite: () => void): void {
  describeWith(name, 'a Postgres server', VERSIONS_HERE.length > 0, suite);
}

/** The same suite on the versions 14, 16 and 18; where not ALL_OF_POSTGRES are asked for, on one. */
export function describePostgresVersions(name: string, suite: (version: number) => void): void {
  const versions = ALL_OF_POSTGRES ? VERSIONS : [DEFAULT_VERSION ?? VERSIONS[0]!];
  for (const version of versions) {
    const isHere = VERSIONS_HERE.includes(version);
    describeWith(`${name}, version ${version}`, `Postgres ${version}`, isHere, () => suite(version));
  }
}

/** A suite that needs a pgbouncer beside its server. */
export function describePgBouncer(name: string, suite: () => void): void {
  describeWith(name, 'pgbouncer and a Postgres server', VERSIONS_HERE.length > 0 && PGBOUNCER !== undefined, suite);
}

function describeWith(name: string, needed: string, isHere: boolean, suite: () => void): void {
  if (isHere) return describe(name, suite);
  if (POSTGRES_IS_REQUIRED) {
    return void it(name, () => {
      programOf(undefined, 'postgres');
    });
  }
  process.stderr.write(`left out, without ${needed}: ${name}\n`);
  it.skip(`${name} (needs ${needed})`, () => undefined);
}
