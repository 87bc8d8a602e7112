// The exported tests of backends on Postgres, with the oldest `pg` that the package supports.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPostgres, NO_POSTGRES, postgresIsRequired } from '../postgres-server.mjs';
import { runPostgres } from '../run-postgres.mjs';
import { forAll, run } from './commands.mjs';

const { peerDependencies } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
export const OLDEST_PG = peerDependencies.pg.replace('^', '');

/** What can be given to the backend. Each is a program of its own, and they run at the same time: they mostly wait. */
const SOURCES = {
  string: 'url',
  configuration: "{ host: '127.0.0.1', port: Number(new URL(url).port), user: 'postgres', database: 'postgres' }",
  Pool: 'new pg.Pool({ connectionString: url })',
};
const program = (name, source) => `
  import { describe, it } from 'node:test';
  import pg from 'pg';
  import { postgresBackend } from 'nestjs-dflockd/postgres';
  import { describeBackend } from 'nestjs-dflockd/testing/backend';

  const { POSTGRES_URL: url } = process.env;
  const source = ${source};
  describeBackend({ describe, it }, 'Postgres, ${name}', () => ({ connect: postgresBackend(source) }));
`;
const LONGEST_RUN_MS = 60_000;

/** @returns what it did @throws if a test fails */
export async function checkOldestPg(work, tarball) {
  const [newest] = Object.entries(findPostgres()).sort(([a], [b]) => b - a);
  if (!newest) {
    if (postgresIsRequired()) throw new Error(NO_POSTGRES);
    return 'left out, without a Postgres server';
  }
  const project = join(work, 'oldest-pg');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'oldest-pg', private: true, type: 'module' }));
  // Of the peers, the entry needs only these two.
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline', '--legacy-peer-deps'];
  await run(project, 'npm', ['install', ...quietly, tarball, 'rxjs', `pg@${OLDEST_PG}`]);
  const { version } = JSON.parse(readFileSync(join(project, 'node_modules/pg/package.json'), 'utf8'));
  if (version !== OLDEST_PG) throw new Error(`asked for pg ${OLDEST_PG}, got ${version}`);
  const [major, bin] = newest;
  const server = await runPostgres(bin, { fsync: 'off' });
  try {
    const env = { NO_COLOR: '1', POSTGRES_URL: server.url };
    const said = [];
    await forAll(Object.entries(SOURCES), 3, async ([name, source]) => {
      writeFileSync(join(project, `${name}.mjs`), program(name, source));
      const output = await run(project, process.execPath, [`${name}.mjs`], { env, timeout: LONGEST_RUN_MS });
      const [, passed] = /^[#ℹ] pass (\d+)$/m.exec(output) ?? [];
      if (!(passed > 0)) throw new Error(`no test has passed\n${output}`);
      said.push(`${passed} tests with a ${name}`);
    });
    return `Postgres ${major}: ${said.join(', ')}`;
  } finally {
    await server.stop();
  }
}
