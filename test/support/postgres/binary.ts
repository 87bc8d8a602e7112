import { delimiter, join } from 'node:path';

interface Finder {
  findPostgres(): Record<string, string>;
  findPgBouncer(): string | undefined;
  readonly VERSIONS: readonly number[];
  readonly CACHE: string;
  readonly NO_POSTGRES: string;
}

// A path in a variable: the compiler has no types for it. Compiled copies of this folder are told where Postgres is.
const path = '../../../scripts/postgres-server.mjs';
const { DFLOCKD_TEST_POSTGRES: wanted, DFLOCKD_TEST_POSTGRES_SERVERS: given } = process.env;
const finder = given === undefined ? ((await import(path)) as Finder) : undefined;

function givenServers(): Record<string, string> {
  const entries = wanted === 'off' ? [] : given!.split(delimiter).map((entry) => entry.split('='));
  return Object.fromEntries(entries as [string, string][]);
}

const servers = finder ? finder.findPostgres() : givenServers();
const found = new Map(Object.entries(servers).map(([version, bin]) => [Number(version), bin]));

/** The major versions that tests run on where all are there. */
export const VERSIONS = finder?.VERSIONS ?? [...found.keys()];

/** The major versions whose servers tests can start here, ascending. */
export const VERSIONS_HERE: readonly number[] = [...found.keys()].sort((a, b) => a - b);

/** The pgbouncer that tests start; undefined where there is none. */
export const PGBOUNCER = finder ? finder.findPgBouncer() : process.env['DFLOCKD_TEST_PGBOUNCER'];

/** Where prepared data folders stay; undefined: nowhere. */
export const CACHE = finder ? finder.CACHE : process.env['DFLOCKD_TEST_POSTGRES_CACHE'];

/** Whether tests that need Postgres fail without it, instead of being left out. */
export const POSTGRES_IS_REQUIRED = wanted === 'required';

/** The version of a test that has no reason for another one. */
export const DEFAULT_VERSION = found.has(16) ? 16 : VERSIONS_HERE.at(-1);

/** The path of a program of a version: 'postgres' or 'initdb'. */
export function programOf(version: number | undefined, name: string): string {
  const bin = version === undefined ? undefined : found.get(version);
  if (bin === undefined)
    throw new Error(version === undefined && finder ? finder.NO_POSTGRES : `no Postgres ${version} here`);
  return join(bin, name);
}
