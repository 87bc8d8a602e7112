import { compileFunction } from 'node:vm';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import { lockId, lockInTransaction } from '../../lib/entries/postgres.js';
import { ALL_OF_POSTGRES, describePostgres } from '../support/postgres/describe-postgres.js';
import type { Library } from '../support/postgres/libraries/library.js';
import { PostgresServer } from '../support/postgres/server.js';
import { until } from '../support/until.js';
import { exampleOf } from './examples.js';
import { blocksIn, blocksOf, nameOf, needsPostgres, readPage, whyNotRun } from './pages.js';
import { run as runExample } from './run.js';

const PAGE = 'docs/postgres.md';

/** The lines of the table: a library, and how it is used. */
const examples = [...readPage(PAGE).matchAll(/^\| (\S+?)(?: \(.*?\))? \| `(.*lockInTransaction\(.*)` \|$/gm)].map(
  ([, name, code]) => [name!, code!] as const,
);
const libraries: readonly Library[] = ALL_OF_POSTGRES
  ? (await import('../support/postgres/libraries/all.js')).LIBRARIES
  : [];

/** Runs code of the page with these names. */
const run = (code: string, names: Record<string, unknown>): Promise<unknown> =>
  (compileFunction(code, Object.keys(names)) as (...values: unknown[]) => Promise<unknown>)(...Object.values(names));

const describeLong = (name: string, suite: () => void): void =>
  ALL_OF_POSTGRES ? describePostgres(name, suite) : it.skip(`${name} (npm run test:postgres)`, () => undefined);

it('the page shows each of eight libraries', () => {
  expect(examples.map(([name]) => name).sort()).toEqual(
    ['Drizzle', 'Knex', 'Kysely', 'MikroORM', 'Prisma', 'TypeORM', 'pg', 'postgres.js'].sort(),
  );
});

describeLong(`the examples of ${PAGE}`, () => {
  let server: PostgresServer;
  let other: pg.Client;

  beforeAll(async () => {
    server = await PostgresServer.start();
    other = await server.connect();
  });
  afterAll(async () => {
    await other?.end();
    await server?.stop();
  });
  afterEach(() => other.query('select pg_advisory_unlock_all()'));

  it.each(examples)('lock in a transaction of %s', async (name, code) => {
    const connected = await libraries.find((library) => library.name === name)!.connect(server.url, 2);
    try {
      const fences: unknown[] = [];
      // Whether it really locked, seen from outside while the transaction is open.
      const lock: typeof lockInTransaction = async (tx, key, options) => {
        const locked = await lockInTransaction(tx, key, options);
        expect(await server.advisoryLocks()).toMatchObject([{ id: lockId(key), granted: true }]);
        fences.push(locked.fence);
        return locked;
      };
      await run(`return ${code}`, { ...connected.outside, lockInTransaction: lock, key: 'account:7' });
      expect(fences).toEqual([expect.any(BigInt)]);
    } finally {
      await connected.close();
    }
  });

  it('lock where the page begins', async () => {
    const [block] = blocksOf(PAGE).filter((one) => whyNotRun(one)?.includes('test:postgres'));
    const code = block!.code.replace(/^import .*;$/m, '');
    const connected = await libraries.find(({ name }) => name === 'TypeORM')!.connect(server.url, 2);
    try {
      const keys: string[] = [];
      const lock: typeof lockInTransaction = (tx, key, options) => (
        keys.push(key),
        lockInTransaction(tx, key, options)
      );
      await run(`return (async () => {${code}})()`, { ...connected.outside, lockInTransaction: lock });
      expect(keys).toEqual(['account:7']);
    } finally {
      await connected.close();
    }
  });

  it('exclude SQL of other programs', async () => {
    const [block] = blocksOf(PAGE).filter(({ code }) => code.startsWith('select pg_advisory_xact_lock('));
    await other.query('begin');
    await other.query(block!.code);
    expect(await server.advisoryLocks()).toMatchObject([{ id: lockId('account:7'), granted: true }]);
    await other.query('rollback');
  });
});

describePostgres('the examples with a Postgres backend', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server.stop());

  const examplesWithBackend = blocksIn('ts').filter((block) => needsPostgres(block) && whyNotRun(block) === undefined);
  it.each(examplesWithBackend.map((block) => [nameOf(block), block] as const))('run: %s', async (_, block) => {
    await runExample(exampleOf(block), { daemon: 'no daemon', postgres: server.url });
    // Neither the application nor the backend leaves a connection.
    const ours = "select from pg_stat_activity where application_name like 'nestjs-dflockd%'";
    await until(async () => (await server.query(ours)).length === 0, 'the connections to end');
  });
});
