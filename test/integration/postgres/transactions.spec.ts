import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type pg from 'pg';
import { AcquireTimeoutError, ConfigError } from '../../../lib/common/errors.js';
import { lockId, lockInTransaction, tryLockInTransaction } from '../../../lib/entries/postgres.js';
import { ALL_OF_POSTGRES, describePgBouncer, describePostgres } from '../../support/postgres/describe-postgres.js';
import type { Connected, Inside, Library } from '../../support/postgres/libraries/library.js';
import { PgBouncer } from '../../support/postgres/pgbouncer.js';
import { PostgresServer } from '../../support/postgres/server.js';

/** They take a second to load. The statements have a quick suite of their own. */
const libraries: readonly Library[] = ALL_OF_POSTGRES
  ? (await import('../../support/postgres/libraries/all.js')).LIBRARIES
  : [];
const describeLong = (describeSuite: typeof describePostgres, name: string, suite: () => void): void =>
  ALL_OF_POSTGRES ? describeSuite(name, suite) : it.skip(`${name} (npm run test:postgres)`, () => undefined);
const CALLERS = 30;
const TURNS = 20;
const CONNECTIONS = 10;

let server: PostgresServer;
let other: pg.Client;

async function begin(): Promise<void> {
  server = await PostgresServer.start();
  await server.query('create table account (id int primary key, balance int not null)');
  other = await server.connect();
}

async function end(): Promise<void> {
  await other?.end();
  await server?.stop();
}

/** What a rival with SQL of its own sees. */
async function isFree(key: string): Promise<boolean> {
  const { rows } = await other.query('select pg_try_advisory_lock($1) as got', [lockId(key)]);
  if ((rows as [{ got: boolean }])[0].got) await other.query('select pg_advisory_unlock($1)', [lockId(key)]);
  return (rows as [{ got: boolean }])[0].got;
}

async function add(query: Inside['query']): Promise<void> {
  const [row] = await query('select balance from account where id = 1');
  await query(`update account set balance = ${Number(row!['balance']) + 1} where id = 1`);
}

/** @returns the counter after that many increments: read, add, write */
async function increments(url: string, library: Library, isLocked = true): Promise<number> {
  await server.query('delete from account');
  await server.query('insert into account values (1, 0)');
  const connected = await library.connect(url, CONNECTIONS);
  const caller = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn++) {
      await connected.transaction(async ({ tx, query }) => {
        if (isLocked) await lockInTransaction(tx, 'account:1', { timeoutMs: 30_000 });
        await add(query);
      });
    }
  };
  try {
    await Promise.all(Array.from({ length: CALLERS }, caller));
  } finally {
    await connected.close();
  }
  const [row] = await server.query<{ balance: number }>('select balance from account');
  return row!.balance;
}

describeLong(describePostgres, 'lockInTransaction', () => {
  beforeAll(begin);
  afterAll(end);

  it('without it, transactions lose increments', async () => {
    await expect(increments(server.url, libraries[0]!, false)).resolves.toBeLessThan(CALLERS * TURNS);
  });

  describe.each(libraries)('in a transaction of $name', (library) => {
    let connected: Connected;
    beforeAll(async () => {
      connected = await library.connect(server.url, 3);
    });
    afterAll(() => connected.close());
    afterEach(async () => expect(await server.advisoryLocks()).toEqual([]));

    it('holds the lock that raw SQL takes for that key until the commit, with a fence of the server', async () => {
      const before = BigInt(Date.now() - 60_000) * 1_000_000n;
      await connected.transaction(async ({ tx }) => {
        const { fence } = await lockInTransaction(tx, 'a');
        expect(fence).toBeGreaterThan(before);
        expect(await isFree('a')).toBe(false);
        expect(await isFree('b')).toBe(true);
        expect(await server.advisoryLocks()).toMatchObject([{ id: lockId('a'), granted: true }]);
      });
      expect(await isFree('a')).toBe(true);
    });

    it('frees it when the transaction rolls back', async () => {
      const rolledBack = connected.transaction(async ({ tx }) => {
        await lockInTransaction(tx, 'a');
        throw new Error('the body failed');
      });
      await expect(rolledBack).rejects.toThrow('the body failed');
      expect(await isFree('a')).toBe(true);
    });

    it('tries without waiting, and the transaction goes on when another has the lock', async () => {
      await other.query('select pg_advisory_lock($1)', [lockId('a')]);
      const seen = await connected.transaction(async ({ tx, query }) => {
        const tried = [await tryLockInTransaction(tx, 'a'), await tryLockInTransaction(tx, 'b')];
        const refused = await lockInTransaction(tx, 'a', { timeoutMs: 0 }).catch((error: unknown) => error);
        return { tried, refused, rows: await query('select 1 as n') };
      });
      await other.query('select pg_advisory_unlock($1)', [lockId('a')]);
      expect(seen).toMatchObject({ tried: [false, true], rows: [{ n: 1 }] });
      expect(seen.refused).toBeInstanceOf(AcquireTimeoutError);
    });

    it('gives up after timeoutMs, with the key', async () => {
      await other.query('select pg_advisory_lock($1)', [lockId('app:a')]);
      const waited = connected.transaction(({ tx }) => lockInTransaction(tx, 'a', { namespace: 'app', timeoutMs: 30 }));
      const error: unknown = await waited.catch((reason: unknown) => reason);
      await other.query('select pg_advisory_unlock($1)', [lockId('app:a')]);
      expect(error).toBeInstanceOf(AcquireTimeoutError);
      expect(error).toMatchObject({ key: 'a', code: 'ACQUIRE_TIMEOUT' });
    });

    it('changes lock_timeout for its own wait only', async () => {
      const seen = await connected.transaction(async ({ tx, query }) => {
        await query("set local lock_timeout = '1234ms'");
        await lockInTransaction(tx, 'a', { timeoutMs: 50 });
        await lockInTransaction(tx, 'b');
        return query("select current_setting('lock_timeout') as now");
      });
      expect(seen).toEqual([{ now: '1234ms' }]);
    });

    it('waits no longer than the lock_timeout of the session unless it is told to', async () => {
      await other.query('select pg_advisory_lock($1)', [lockId('a')]);
      const waited = connected.transaction(async ({ tx, query }) => {
        await query("set local lock_timeout = '30ms'");
        await lockInTransaction(tx, 'a');
      });
      await expect(waited).rejects.toBeInstanceOf(AcquireTimeoutError);
      await other.query('select pg_advisory_unlock($1)', [lockId('a')]);
    });

    it('refuses everything that is not in a transaction, and locks nothing', async () => {
      for (const [name, tx] of Object.entries(connected.outside)) {
        for (const lock of [lockInTransaction, tryLockInTransaction]) {
          const error: unknown = await lock(tx as never, 'a').catch((reason: unknown) => reason);
          expect([name, error]).toEqual([name, expect.any(ConfigError)]);
          expect((error as Error).message).toMatch(`${lock.name}: no transaction of ${library.name} is open`);
        }
      }
    });

    it('refuses it also in the callback of a transaction, where it is given by mistake', async () => {
      // MikroORM finds the transaction of the callback.
      const mistakes = Object.entries(connected.outside).filter(([name]) => name !== 'globalEm');
      for (const [name, outside] of mistakes) {
        const error = await connected.transaction(async () =>
          lockInTransaction(outside as never, 'a').catch((reason: unknown) => reason),
        );
        expect([name, error]).toEqual([name, expect.any(ConfigError)]);
      }
    });

    it('refuses a transaction that is over', async () => {
      const kept = await connected.transaction(async ({ tx }) => tx);
      await expect(lockInTransaction(kept, 'a')).rejects.toThrow();
    });

    it('warns once in a process that SERIALIZABLE reads what was there before the wait', async () => {
      const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      for (let i = 0; i < 2; i++) {
        await connected.transaction(async ({ tx }) => void (await lockInTransaction(tx, 'a')), 'serializable');
      }
      const warnings = warn.mock.calls.map(([, options]) => options as unknown);
      warn.mockRestore();
      const expected = { type: 'DflockdWarning', code: 'SNAPSHOT_BEFORE_LOCK' };
      expect(warnings).toEqual(library === libraries[0] ? [expected] : []);
    });

    it(`makes ${CALLERS * TURNS} of ${CALLERS * TURNS} increments right`, async () => {
      await expect(increments(server.url, library)).resolves.toBe(CALLERS * TURNS);
    });
  });
});

describeLong(describePgBouncer, 'lockInTransaction behind a PgBouncer in transaction mode', () => {
  let bouncer: PgBouncer;
  beforeAll(async () => {
    await begin();
    bouncer = await PgBouncer.start(server, { mode: 'transaction', poolSize: 5 });
  });
  afterAll(async () => {
    await bouncer?.stop();
    await end();
  });

  it.each(libraries)(`of $name makes all increments right`, async (library) => {
    await expect(increments(bouncer.url, library)).resolves.toBe(CALLERS * TURNS);
  });
});
