import { describe, expect, it, jest } from '@jest/globals';
import { ConfigError } from '../../../lib/common/errors.js';
import { recogniseSql } from '../../../lib/sql/recognise.js';

const nothing = (): void => undefined;
const answers = (answer: unknown): jest.Mock<(...args: unknown[]) => unknown> => jest.fn(async () => answer);

describe('what is not a transaction of a known library', () => {
  const throwing = new Proxy(
    {},
    {
      get: () => {
        throw new Error('touched');
      },
    },
  );
  class Account {
    readonly id = 1;
  }

  it.each([
    ['undefined', undefined, 'got undefined'],
    ['null', null, 'got null'],
    ['text', 'begin', 'got string'],
    ['an address', new URL('postgres://user:secret@localhost/'), 'got a URL'],
    ['an object of a user', new Account(), 'got an Account'],
    ['a function', nothing, 'got a function'],
    ['a promise', Promise.resolve({ query: nothing }), 'got a Promise; await it first'],
    ['a proxy that throws when it is touched', throwing, 'got an object'],
    ['members that are no methods', { query: 'select 1', raw: {}, unsafe: true }, 'got an object'],
  ])('%s is refused', (_name, tx, got) => {
    expect(() => recogniseSql(tx, 'lock')).toThrow(ConfigError);
    expect(() => recogniseSql(tx, 'lock')).toThrow(
      `lock: expected a transaction of Prisma, postgres.js, Kysely, MikroORM, Knex, Drizzle, TypeORM or pg, ${got}`,
    );
  });
});

describe('what shows that no transaction is open', () => {
  const method = { query: nothing };
  const manager = { ...method, getRepository: nothing, transaction: nothing, findOneBy: nothing };
  it.each<[string, string, object]>([
    ['a pool', 'pg', { ...method, connect: nothing, totalCount: 0 }],
    ['a postgres.js instance', 'postgres.js', Object.assign(() => undefined, { unsafe: nothing, begin: nothing })],
    ['a Knex instance', 'Knex', Object.assign(() => undefined, { raw: nothing, transaction: nothing })],
    ['an em', 'MikroORM', { getConnection: nothing, getTransactionContext: nothing, commit: nothing }],
    ['a data source', 'TypeORM', { ...method, manager, createQueryRunner: nothing }],
    ['a manager', 'TypeORM', manager],
    ['a query runner', 'TypeORM', { ...method, manager, isTransactionActive: false }],
  ])('%s is refused, with the way to begin one', (_name, library, tx) => {
    expect(() => recogniseSql(tx, 'lock')).toThrow(
      new RegExp(`^lock: no transaction of ${library.replace('.', '\\.')} is open here; begin one .*: .*\\(`),
    );
  });
});

describe('a statement', () => {
  const rows = [{ n: 1 }];
  const context = {};

  it.each<[string, (answer: ReturnType<typeof answers>) => object, unknown, unknown[]]>([
    ['Prisma', (answer) => ({ $queryRawUnsafe: answer, $executeRawUnsafe: nothing }), rows, ['select 1']],
    ['postgres.js', (answer) => Object.assign(() => 0, { unsafe: answer, savepoint: nothing }), rows, ['select 1']],
    [
      'Kysely',
      (answer) => ({ executeQuery: answer, isTransaction: true }),
      { rows },
      [expect.objectContaining({ sql: 'select 1', parameters: [] })],
    ],
    [
      'MikroORM',
      (answer) => ({
        getConnection: () => ({ execute: answer }),
        getTransactionContext: () => context,
        execute: nothing,
        commit: nothing,
      }),
      rows,
      ['select 1', [], 'all', context],
    ],
    [
      'Knex',
      (answer) => Object.assign(() => 0, { raw: answer, transaction: nothing, commit: nothing }),
      { rows },
      ['select 1'],
    ],
    [
      'Drizzle',
      (answer) => ({ execute: answer, session: {}, transaction: nothing, query: {} }),
      { rows },
      ['select 1'],
    ],
    ['TypeORM', (answer) => ({ query: answer, manager: {}, isTransactionActive: true }), rows, ['select 1']],
    ['pg', (answer) => ({ query: answer, connect: nothing }), { rows }, ['select 1']],
  ])('of %s is run as the library runs it', async (library, make, answer, args) => {
    const method = answers(answer);
    const sql = recogniseSql(make(method), 'lock');
    expect(sql.library).toBe(library);
    await expect(sql.query('select 1')).resolves.toEqual(rows);
    expect(method.mock.calls).toEqual([args]);
  });

  it('is run as a method of its object', async () => {
    class Client {
      private readonly rows = rows;
      async query(): Promise<unknown> {
        return { rows: this.rows };
      }
    }
    await expect(recogniseSql(new Client(), 'lock').query('select 1')).resolves.toBe(rows);
  });

  it.each([
    ['nothing', undefined, 'undefined'],
    ['rows in another form', [[{ n: 1 }], {}], 'an array'],
    ['rows as arrays', { rows: [[1]] }, 'an object'],
    ['no rows', { affectedRows: 1 }, 'an object'],
  ])('that is answered with %s is a ConfigError', async (_name, answer, kind) => {
    const sql = recogniseSql({ query: answers(answer) }, 'lock');
    await expect(sql.query('select 1')).rejects.toThrow(`lock: pg answered ${kind} instead of rows`);
    await expect(sql.query('select 1')).rejects.toBeInstanceOf(ConfigError);
  });

  it('rejects with the error of the library, thrown or rejected', async () => {
    const error = new Error('the library failed');
    const thrown = { query: () => { throw error; } }; // prettier-ignore
    await expect(recogniseSql(thrown, 'lock').query('select 1')).rejects.toBe(error);
    await expect(recogniseSql({ query: () => Promise.reject(error) }, 'lock').query('select 1')).rejects.toBe(error);
  });
});
