import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { AcquireRequest } from '../../../lib/backends/backend.js';
import { STATEMENTS } from '../../../lib/backends/postgres/commands/statements.js';
import { Undo } from '../../../lib/backends/postgres/commands/undo.js';
import { isHeld } from '../../../lib/backends/postgres/inspection.js';
import type { PostgresBackend } from '../../../lib/backends/postgres/postgres.js';
import { AcquireTimeoutError } from '../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { postgresBackend } from '../../../lib/entries/postgres.js';
import { enqueue, release } from '../../support/lock-backend.js';
import { ALL_OF_POSTGRES, describePostgresVersions } from '../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { until } from '../../support/until.js';
import { Connections, type Got } from './support/connections.js';

/** Statements that never end by themselves, and then fail. */
const SLEEP = 'pg_sleep(60)';

if (ALL_OF_POSTGRES) describePostgresVersions('the traps of advisory locks', traps);
else it.skip('the traps of advisory locks (npm run test:postgres)', () => undefined);

/** What Postgres does, in plain SQL, that the statements of the backend have to reckon with. */
function traps(version: number): void {
  let server: PostgresServer;
  let one: pg.Client;
  let other: pg.Client;

  beforeAll(async () => {
    server = await PostgresServer.start({ version, settings: { deadlock_timeout: '10ms' } });
    await server.query('create table kept (id bigint primary key)');
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    [one, other] = [await server.connect(), await server.connect()];
  });
  afterEach(async () => {
    await Promise.all([one.end(), other.end()]);
    await server.query('delete from kept');
    await until(async () => (await server.advisoryLocks()).length === 0, 'no advisory locks');
  });

  /** The only column of the only row. */
  async function value(client: pg.Client, text: string, values: readonly unknown[] = []): Promise<unknown> {
    const { rows } = await client.query({ text, values: [...values], rowMode: 'array' });
    return (rows as unknown as [[unknown]])[0][0];
  }
  const pidOf = async (client: pg.Client): Promise<number> =>
    (await value(client, 'select pg_backend_pid()')) as number;
  const heldBy = async (pid: number): Promise<bigint[]> =>
    (await server.advisoryLocks()).filter((lock) => lock.pid === pid && lock.granted).map(({ id }) => id);
  const codeOf = (failing: Promise<unknown>): Promise<unknown> =>
    failing.then(
      () => 'did not fail',
      (error: pg.DatabaseError) => error.code,
    );
  const somebodyWaits = (): Promise<unknown> =>
    until(async () => (await server.advisoryLocks()).some(({ granted }) => !granted), 'a wait');

  describe('1: a session', () => {
    it('takes its own lock again, and has it until it has released it as often', async () => {
      expect(await value(one, 'select pg_try_advisory_lock(1) and pg_try_advisory_lock(1)')).toBe(true);
      expect(await value(one, 'select pg_advisory_unlock(1)')).toBe(true);
      expect(await value(other, 'select pg_try_advisory_lock(1)')).toBe(false);
      expect(await value(one, 'select pg_advisory_unlock(1)')).toBe(true);
      expect(await value(other, 'select pg_try_advisory_lock(1)')).toBe(true);
    });

    it('frees what it has taken anew with the release of an earlier session, which ours never send', async () => {
      const us = await Connections.to(server.url);
      const { session } = (await us.try(1n)) as Got;
      await server.query('select pg_terminate_backend($1)', [session.pid]);
      await until(() => us.commands.session && us.commands.session !== session, 'the next session');
      expect(await until(() => us.try(1n), 'the lock')).toMatchObject({ session: us.commands.session });
      const late = await new Promise((done) => {
        const op = { id: 1n, done, over: () => undefined };
        us.commands.unlock(session, op);
      });
      expect(late).toBe('gone');
      expect(await value(other, 'select pg_try_advisory_lock(1)')).toBe(false);
      await us.close();
    });
  });

  describe('2: a statement keeps the locks that it took', () => {
    it('if it fails', async () => {
      const pid = await pidOf(one);
      expect(await codeOf(one.query('select pg_advisory_lock(1), 1 / (pg_backend_pid() * 0)'))).toBe('22012');
      expect(await heldBy(pid)).toEqual([1n]);
      await one.query(STATEMENTS.unlockAll.text);
      expect(await heldBy(pid)).toEqual([]);
    });

    it('if it is cancelled', async () => {
      const pid = await pidOf(one);
      const code = codeOf(one.query(`select pg_advisory_lock(1), ${SLEEP}`));
      await until(async () => (await heldBy(pid)).length === 1, 'the lock');
      await server.query('select pg_cancel_backend($1)', [pid]);
      expect(await code).toBe('57014');
      expect(await heldBy(pid)).toEqual([1n]);
    });

    it('if it runs into statement_timeout', async () => {
      const pid = await pidOf(one);
      await one.query('set statement_timeout = 50');
      expect(await codeOf(one.query(`select pg_advisory_lock(1), ${SLEEP}`))).toBe('57014');
      expect(await heldBy(pid)).toEqual([1n]);
    });

    it('if it runs into lock_timeout', async () => {
      const pid = await pidOf(one);
      await other.query('select pg_advisory_lock(2)');
      await one.query('set lock_timeout = 50');
      expect(await codeOf(one.query('select pg_advisory_lock(1), pg_advisory_lock(2)'))).toBe('55P03');
      expect(await heldBy(pid)).toEqual([1n]);
    });

    it('if it is a batch whose third op fails; the repair gives them back, and nothing else', async () => {
      const pid = await pidOf(one);
      await one.query('select pg_advisory_lock(9)');
      // Somebody is at the gate, and the channel has no name.
      await other.query('select pg_advisory_lock(4)');
      const ops = ['{1,1,3}', '{1,2,3}', '{0,0,4}', '{"","",""}'];
      expect(await codeOf(one.query(STATEMENTS.batch.text, ops))).toBe('22023');
      expect(await heldBy(pid)).toEqual([1n, 2n, 9n]);
      const undo = new Undo();
      for (const id of [1n, 2n, 3n]) undo.unlock(id);
      await one.query(STATEMENTS.repair.text, undo.values);
      expect(await heldBy(pid)).toEqual([9n]);
    });
  });

  describe('4: a row', () => {
    it('that was committed during the wait is not seen by the statement that waited, and is by the next one', async () => {
      await other.query('select pg_advisory_lock(1)');
      const kept = '(select count(*)::int from kept)';
      const seen = value(one, `select case when pg_advisory_lock(1) is not null then ${kept} end`);
      await somebodyWaits();
      await other.query('insert into kept values (1)');
      await other.query('select pg_advisory_unlock(1)');
      expect(await seen).toBe(0);
      expect(await value(one, `select ${kept}`)).toBe(1);
    });

    it('counts from its commit on, and an unlock in the same statement at once', async () => {
      // The commit waits for a lock that the test has.
      await server.query(
        `create or replace function slow() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock(4242); return null; end $$;
         create constraint trigger slow after insert on kept deferrable initially deferred
         for each row execute function slow()`,
      );
      await other.query('select pg_advisory_lock(4242)');
      await one.query('select pg_advisory_lock(1)');
      const released = one.query(
        'with row as (insert into kept values (1) returning id) select pg_advisory_unlock(id) from row',
      );
      await somebodyWaits();
      expect(await value(other, 'select pg_try_advisory_lock(1)')).toBe(true);
      expect(await value(other, 'select count(*)::int from kept')).toBe(0);
      await other.query('select pg_advisory_unlock(4242)');
      await released;
      expect(await value(other, 'select count(*)::int from kept')).toBe(1);
      await server.query('drop trigger slow on kept');
    });
  });

  describe('5: a look', () => {
    it('that tries makes the try of another fail, and one into pg_locks does not', async () => {
      expect(await value(one, 'select pg_try_advisory_lock(1)')).toBe(true);
      expect(await value(other, 'select pg_try_advisory_lock(1)')).toBe(false);
      await one.query('select pg_advisory_unlock(1)');
      const [{ text }, values] = isHeld(1n);
      let isOver = false;
      const looking = (async (): Promise<unknown[]> => {
        const seen = [];
        while (!isOver) seen.push(await value(one, text, values));
        return seen;
      })();
      for (let i = 0; i < 300; i++) {
        expect(await value(other, 'select pg_try_advisory_lock(1)')).toBe(true);
        await other.query('select pg_advisory_unlock(1)');
      }
      isOver = true;
      expect((await looking).length).toBeGreaterThan(10);
    });
  });

  describe('6: a request to cancel', () => {
    it('hits whatever the session does when it arrives', async () => {
      const pid = await pidOf(one);
      await one.query('select 1');
      const next = codeOf(one.query(`select ${SLEEP}`));
      await until(async () => {
        const [row] = await server.query<{ query: string }>('select query from pg_stat_activity where pid = $1', [pid]);
        return row!.query.includes(SLEEP);
      }, 'the next statement');
      expect(await value(other, 'select pg_cancel_backend($1)', [pid])).toBe(true);
      expect(await next).toBe('57014');
    });
  });

  describe('7: the deadlock detector', () => {
    it('strikes a session that waits while it owns something', async () => {
      await one.query('select pg_advisory_lock(1)');
      await other.query('select pg_advisory_lock(2)');
      const clients = [one, other];
      const waits = [one.query('select pg_advisory_lock(2)'), other.query('select pg_advisory_lock(1)')];
      const [victim, code] = await Promise.race(
        waits.map(async (wait, i) => {
          const said = await codeOf(wait);
          return [i, said] as const;
        }),
      );
      expect(code).toBe('40P01');
      await clients[victim]!.query('select pg_advisory_unlock_all()');
      await Promise.allSettled(waits);
    });

    it('never strikes ours, which do not: callers that wait for each other wait until their deadlines', async () => {
      const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
      const made = [1, 2, 3].map(() => postgresBackend(server.url)(host) as PostgresBackend);
      await Promise.all(made.map((backend) => backend.start()));
      const [a, b, c] = made as [PostgresBackend, PostgresBackend, PostgresBackend];
      const request = (key: string, waitMs = 10_000): AcquireRequest => ({
        ...{ key, kind: 'lock', limit: 1, leaseMs: 30_000, deadline: systemClock.now() + waitMs },
      });
      // What each has came by waiting, and is owned by the session that waited.
      const first = [(await c.tryAcquire(request('x')))!, (await c.tryAcquire(request('y')))!];
      const waiting = [enqueue(a, request('x')), enqueue(b, request('y'))];
      await Promise.all(waiting.map(({ placed }) => placed));
      await Promise.all(first.map((grant) => release(c, grant)));
      const [x, y] = [await waiting[0]!.grant, await waiting[1]!.grant];
      const said = server.output.length;
      const crosswise = [enqueue(a, request('y', 400)), enqueue(b, request('x', 400))];
      for (const { grant } of crosswise) await expect(grant).rejects.toBeInstanceOf(AcquireTimeoutError);
      expect([await release(a, x), await release(b, y)]).toEqual(['released', 'released']);
      expect(server.output.slice(said)).not.toMatch(/deadlock/);
      await Promise.all(made.map((backend) => backend.close(1000)));
    });
  });
}
