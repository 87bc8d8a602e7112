import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { AcquireRequest, Grant, LinkEvent } from '../../../lib/backends/backend.js';
import { PostgresBackend } from '../../../lib/backends/postgres/postgres.js';
import { LockUnavailableError, PoolExhaustedError } from '../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { postgresBackend, type PostgresBackendOptions } from '../../../lib/entries/postgres.js';
import { enqueue, release } from '../../support/lock-backend.js';
import { ALL_OF_POSTGRES, describePostgres } from '../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { inTime, until } from '../../support/until.js';

const { now } = systemClock;
const PROCESSES = 10;

if (ALL_OF_POSTGRES) describePostgres('what a server allows the Postgres backend', allowances);
else it.skip('what a server allows the Postgres backend (npm run test:postgres)', () => undefined);

function allowances(): void {
  let server: PostgresServer;
  let lastKey = 0;
  const made: PostgresBackend[] = [];
  const events: LinkEvent[] = [];

  beforeAll(async () => {
    server = await PostgresServer.start();
    await server.query('revoke all on database postgres from public');
    await server.query('revoke all on schema public from public');
    for (const role of ['bare', 'loner', 'counted']) {
      await server.query(`create role ${role} login`);
      await server.query(`grant connect on database postgres to ${role}`);
    }
    await server.query('alter role loner connection limit 1');
  });
  afterEach(async () => {
    await Promise.all(made.splice(0).map((one) => one.close(1000)));
    events.length = 0;
  });
  afterAll(() => server?.stop());

  const request = (change: Partial<AcquireRequest> = {}, waitMs = 10_000): AcquireRequest => ({
    ...{ key: `key:${++lastKey}`, kind: 'lock', limit: 1, leaseMs: 30_000, deadline: now() + waitMs },
    ...change,
  });

  /** One more process, so to speak. */
  async function backend(user: string, options: PostgresBackendOptions = {}, at = server): Promise<PostgresBackend> {
    const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
    const one = postgresBackend(at.urlOf({ user }), options)(host) as PostgresBackend;
    made.push(one);
    one.onLink((event) => events.push(event));
    await one.start();
    return one;
  }

  async function take(one: PostgresBackend, req: AcquireRequest): Promise<Grant> {
    const grant = await one.tryAcquire(req);
    if (!grant) throw new Error(`${req.key} is busy`);
    return grant;
  }

  it('a role that may do nothing but connect has locks, semaphores, notifications, waits and looks', async () => {
    const [one, other] = [await backend('bare', { semPollMs: 60_000 }), await backend('bare', { semPollMs: 60_000 })];
    for (const req of [request({}, 20_000), request({ kind: 'sem', limit: 2 }, 20_000)]) {
      const held = [await take(one, req)];
      if (req.limit > 1) held.push(await take(one, req));
      expect(await other.tryAcquire(req)).toBeNull();
      expect(await other.isLocked(req.key, req.kind)).toBe(true);
      const [first, second] = [enqueue(other, req), enqueue(other, req)];
      await first.placed;
      await release(one, held[0]!);
      await release(other, await inTime(first.grant, 'the first grant'));
      await release(other, await inTime(second.grant, 'the second grant'));
      for (const grant of held.slice(1)) await release(one, grant);
    }
    // It may cancel its own.
    const req = request({}, 20_000);
    const grant = await take(one, req);
    const waiting = enqueue(other, req);
    await waiting.placed;
    waiting.cancel(new Error('enough'));
    await until(async () => (await other.stats())[0]!.cancels > 0, 'the cancel');
    await until(async () => (await server.advisoryLocks()).every(({ granted }) => granted), 'the end of the wait');
    await release(one, grant);
    expect(events.filter(({ state }) => state === 'degraded')).toEqual([]);
  });

  it('a role with one connection locks, and polls where it waits', async () => {
    const [one, other] = [await backend('loner'), await backend('bare')];
    const req = request({}, 20_000);
    const first = await take(other, req);
    await expect(enqueue(one, { ...req, deadline: now() + 200 }).grant).rejects.toBeInstanceOf(PoolExhaustedError);
    const waiting = enqueue(one, req);
    await waiting.placed;
    await release(other, first);
    await release(one, await inTime(waiting.grant, 'the grant of a poll'));
    expect((await one.stats())[0]!.connections).toBe(1);
    expect(events.some(({ detail }) => detail?.includes('no room for another connection'))).toBe(true);
  });

  it('others work while ten processes have all the locks that they may', async () => {
    const processes = await Promise.all(Array.from({ length: PROCESSES }, () => backend('bare')));
    for (const one of processes) {
      const { maxHeld } = (await one.stats())[0]!;
      expect(maxHeld).toBe(800);
      await Promise.all(Array.from({ length: maxHeld }, () => take(one, request())));
    }
    expect((await server.advisoryLocks()).length).toBeGreaterThanOrEqual(PROCESSES * 800);
    const application = await server.connect();
    for (let i = 0; i < 50; i++) await application.query(`create table t${i} (id bigint primary key)`);
    await application.query('begin');
    for (let i = 0; i < 50; i++) await application.query(`select * from t${i}`);
    await application.query('commit');
    await application.end();
  });

  it('a full table of locks is said, with the cure; what is held stays, and there is room after releases', async () => {
    const small = await PostgresServer.start({
      settings: { max_connections: 10, max_locks_per_transaction: 10, max_wal_senders: 0 },
    });
    try {
      const one = await backend('postgres', { maxHeld: 20_000 }, small);
      const held: Grant[] = [];
      const errors: unknown[] = [];
      while (errors.length === 0) {
        const all = await Promise.allSettled(Array.from({ length: 100 }, () => one.tryAcquire(request())));
        for (const outcome of all) {
          if (outcome.status === 'rejected') errors.push(outcome.reason);
          else held.push(outcome.value!);
        }
      }
      for (const error of errors) expect(error).toBeInstanceOf(LockUnavailableError);
      expect(events.some(({ detail }) => detail?.match(/max_locks_per_transaction.*maxHeld/))).toBe(true);
      // The batch that failed left nothing.
      expect((await one.stats())[0]).toMatchObject({ held: held.length, repairs: 1 });
      for (const grant of held) expect(grant.owner.provenUntil()).toBeGreaterThan(now());
      await Promise.all(held.splice(0, 100).map((grant) => release(one, grant)));
      await Promise.all(Array.from({ length: 50 }, () => take(one, request())));
      await Promise.all(made.splice(0).map((process) => process.close(1000)));
    } finally {
      await small.stop();
    }
  });

  it('a process has one connection at rest and at most six at work, whatever waits', async () => {
    const [one, other] = [await backend('counted'), await backend('bare')];
    const counts: number[] = [];
    const count = async (client: pg.Client): Promise<number> => {
      const { rows } = await client.query(`select count(*)::int as n from pg_stat_activity where usename = 'counted'`);
      return (rows as [{ n: number }])[0].n;
    };
    const watcher = await server.connect();
    let isOver = false;
    const watching = (async () => {
      while (!isOver) counts.push(await count(watcher));
    })();
    const requests = Array.from({ length: 40 }, (_, i) =>
      i % 4 === 0 ? request({ kind: 'sem', limit: 2 }, 30_000) : request({}, 30_000),
    );
    const held: Grant[] = [];
    for (const req of requests) for (let n = 0; n < req.limit; n++) held.push(await take(other, req));
    const all = (of: PostgresBackend): Promise<unknown> =>
      Promise.all(
        requests.flatMap((req) =>
          [1, 2, 3].map(async () => {
            for (let turn = 0; turn < 5; turn++) await release(of, await enqueue(of, req).grant);
          }),
        ),
      );
    const working = [all(one), all(other)];
    await until(async () => (await one.stats())[0]!.polling === requests.length - 5, 'all places');
    await Promise.all(held.map((grant) => release(other, grant)));
    await Promise.all(working);
    await until(async () => (await count(watcher)) === 1, 'one connection');
    isOver = true;
    await watching;
    expect(Math.max(...counts)).toBe(6);
    await watcher.end();
  });
}
