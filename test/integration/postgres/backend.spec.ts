import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { AcquireRequest, Grant, LinkEvent } from '../../../lib/backends/backend.js';
import { PostgresBackend } from '../../../lib/backends/postgres/postgres.js';
import {
  AcquireTimeoutError,
  type LockError,
  LockLostError,
  MaxLocksError,
  PoolExhaustedError,
} from '../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { lockId, postgresBackend, type PostgresBackendOptions } from '../../../lib/entries/postgres.js';
import { enqueue, release } from '../../support/lock-backend.js';
import { describePostgres } from '../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { inTime, until } from '../../support/until.js';
import { heldSockets } from './sessions/support.js';

const { now } = systemClock;

let server: PostgresServer;
let lastKey = 0;
const events: LinkEvent[] = [];
const made: PostgresBackend[] = [];
const clients: pg.Client[] = [];

const request = (change: Partial<AcquireRequest> = {}, waitMs = 10_000): AcquireRequest => ({
  key: `key:${++lastKey}`,
  kind: 'lock',
  limit: 1,
  leaseMs: 30_000,
  deadline: now() + waitMs,
  ...change,
});

/** One more process, so to speak: a backend has connections of its own. */
async function backend(options: PostgresBackendOptions = {}): Promise<PostgresBackend> {
  const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
  const one = postgresBackend(server.url, options)(host) as PostgresBackend;
  made.push(one);
  one.onLink((event) => events.push(event));
  await one.start();
  return one;
}

async function client(): Promise<pg.Client> {
  const one = await server.connect();
  clients.push(one);
  return one;
}

async function take(one: PostgresBackend, req: AcquireRequest): Promise<Grant> {
  const grant = await one.tryAcquire(req);
  if (!grant) throw new Error(`${req.key} is busy`);
  return grant;
}

/** Without what each process says about itself, which is a shared one. */
const locks = async (): ReturnType<PostgresServer['advisoryLocks']> =>
  (await server.advisoryLocks()).filter(({ mode }) => mode === 'ExclusiveLock');
const held = async (one: PostgresBackend): Promise<number> => (await one.stats())[0]!.held;
const waitingAtServer = async (): Promise<number> => (await locks()).filter(({ granted }) => !granted).length;
const nothingLeft = (): Promise<unknown> => until(async () => (await locks()).length === 0, 'pg_locks to be empty');

async function answer(sql: string, one: pg.Client, values: unknown[] = []): Promise<unknown> {
  const { rows } = await one.query<{ answer: unknown }>(`select ${sql} as answer`, values);
  return rows[0]!.answer;
}

describePostgres('the backend on Postgres', () => {
  beforeAll(async () => {
    server = await PostgresServer.start();
  }, 60_000);

  afterEach(async () => {
    await Promise.all(made.splice(0).map((one) => one.close(1000)));
    await Promise.all(clients.splice(0).map((one) => one.end().catch(() => undefined)));
    events.length = 0;
  });

  afterAll(() => server?.stop());

  it('serves the callers of a process exactly in their order, and needs no second connection for that', async () => {
    const one = await backend();
    const req = request();
    const first = await take(one, req);
    const order: number[] = [];
    const all = Array.from({ length: 500 }, async (_, i) => {
      const grant = await enqueue(one, req).grant;
      order.push(i);
      await release(one, grant);
    });
    await release(one, first);
    await Promise.all(all);
    expect(order).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(await held(one)).toBe(0);
    // The one of the start probe is kept for a while.
    expect((await one.stats())[0]!.connections).toBeLessThanOrEqual(2);
  });

  it('gives each of several processes the same number of turns, with fences that rise', async () => {
    // On a machine that pauses, turns end by localMs, and a process has fewer of them.
    const processes = await Promise.all(Array.from({ length: 4 }, () => backend({ localMs: 60_000 })));
    const req = request({}, 60_000);
    const turns = processes.map(() => 0);
    let lastFence = 0n;
    let holders = 0;
    let isOver = false;
    const caller = async (i: number): Promise<void> => {
      while (!isOver) {
        const grant = await enqueue(processes[i]!, req).grant;
        expect(++holders).toBe(1);
        expect(grant.fence!).toBeGreaterThan(lastFence);
        lastFence = grant.fence!;
        turns[i]!++;
        await new Promise((resolve) => setImmediate(resolve));
        holders--;
        if (turns.reduce((sum, count) => sum + count) >= 600) isOver = true;
        await release(processes[i]!, grant);
      }
    };
    await Promise.all(processes.flatMap((_, i) => Array.from({ length: 5 }, () => caller(i))));
    expect(Math.min(...turns) / Math.max(...turns)).toBeGreaterThan(0.85);
    await nothingLeft();
  });

  it('lets another process wait for no more than the local turns and the turn under way', async () => {
    const [one, other] = [await backend({ localTurns: 2, localMs: 60_000 }), await backend()];
    const req = request({}, 20_000);
    const first = await take(one, req);
    const order: string[] = [];
    const serve = async (who: string, of: PostgresBackend): Promise<void> => {
      const grant = await enqueue(of, req).grant;
      order.push(who);
      await release(of, grant);
    };
    const own = Array.from({ length: 6 }, () => serve('one', one));
    const others = serve('other', other);
    await until(async () => (await waitingAtServer()) === 1, 'the other process to wait');
    await release(one, first);
    await Promise.all([...own, others]);
    expect(order.slice(0, 3)).toEqual(['one', 'one', 'other']);
    expect(order).toHaveLength(7);
  });

  it('with an unbounded number of places, serves the callers of all processes strictly in order', async () => {
    const options = { waitersPerKey: Infinity, maxWaitConnections: Infinity };
    const [one, other] = [await backend(options), await backend(options)];
    const req = request({}, 20_000);
    const first = await take(one, req);
    const order: number[] = [];
    const all: Promise<void>[] = [];
    for (let i = 0; i < 8; i++) {
      const of = i % 2 ? other : one;
      const waiting = enqueue(of, req);
      all.push(
        waiting.grant.then(async (grant) => {
          order.push(i);
          await release(of, grant);
        }),
      );
      await until(async () => (await waitingAtServer()) === i + 1, `place ${i}`);
    }
    await release(one, first);
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    await nothingLeft();
  });

  it('excludes a program with SQL of its own that computes the same id, and the other way round', async () => {
    const [one, raw] = [await backend(), await client()];
    const req = request({ key: 'order:ü' });
    const id = `('x' || encode(substr(sha256(convert_to('dflockd:lock:' || $1, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint`;
    expect(BigInt((await answer(id, raw, [req.key])) as string)).toBe(lockId(req.key));
    const grant = await take(one, req);
    expect(await answer(`pg_try_advisory_lock(${id})`, raw, [req.key])).toBe(false);
    await release(one, grant);
    expect(await answer(`pg_try_advisory_lock(${id})`, raw, [req.key])).toBe(true);
    expect(await one.tryAcquire(req)).toBeNull();
    expect(await one.isLocked(req.key, 'lock')).toBe(true);
    const waiting = enqueue(one, req);
    await waiting.placed;
    await answer(`pg_advisory_unlock(${id})`, raw, [req.key]);
    await release(one, await inTime(waiting.grant, 'the grant'));
    expect(await one.isLocked(req.key, 'lock')).toBe(false);
  });

  it('keeps its place among programs with SQL of their own', async () => {
    const [one, two, raw] = [await backend(), await backend(), await client()];
    const req = request({}, 20_000);
    const first = await take(one, req);
    const order: string[] = [];
    const served = (who: string, of: PostgresBackend): Promise<void> =>
      enqueue(of, req).grant.then(async (grant) => {
        order.push(who);
        await release(of, grant);
      });
    const all = [served('two', two)];
    await until(async () => (await waitingAtServer()) === 1, 'the first place');
    all.push(
      answer('pg_advisory_lock($1)', raw, [lockId(req.key)]).then(async () => {
        order.push('raw');
        await answer('pg_advisory_unlock($1)', raw, [lockId(req.key)]);
      }),
    );
    await until(async () => (await waitingAtServer()) === 2, 'the second place');
    const three = await backend();
    all.push(served('three', three));
    await until(async () => (await waitingAtServer()) === 3, 'the third place');
    await release(one, first);
    await Promise.all(all);
    expect(order).toEqual(['two', 'raw', 'three']);
  });

  it('takes what hashtext, hashtextextended and pairs of integers stand for', async () => {
    const raw = await client();
    const cases: [PostgresBackendOptions['lockId'], string][] = [
      ['hashtext', 'hashtext($1)'],
      ['hashtextextended', 'hashtextextended($1, 0)'],
      [(key) => [-7, key.length], '-7, length($1)'],
    ];
    for (const [ids, sql] of cases) {
      const one = await backend({ lockId: ids });
      const req = request();
      const grant = await take(one, req);
      expect(await answer(`pg_try_advisory_lock(${sql})`, raw, [req.key])).toBe(false);
      expect(await one.isLocked(req.key, 'lock')).toBe(true);
      const waiting = enqueue(one, req);
      await waiting.placed;
      await release(one, grant);
      await release(one, await waiting.grant);
      expect(await answer(`pg_try_advisory_lock(${sql})`, raw, [req.key])).toBe(true);
      const behind = enqueue(one, req);
      await until(async () => (await waitingAtServer()) === 1, 'the place');
      await answer(`pg_advisory_unlock(${sql})`, raw, [req.key]);
      await release(one, await inTime(behind.grant, 'the grant'));
    }
    await nothingLeft();
  });

  it('tells that two keys have the same id', async () => {
    const one = await backend({ lockId: () => 7n });
    const grant = await take(one, request({ key: 'a' }));
    expect(await one.tryAcquire(request({ key: 'b' }))).toBeNull();
    expect(events.find(({ state }) => state === 'degraded')?.detail).toMatch(/"a" and "b" have the same lock id/);
    await release(one, grant);
    await take(one, request({ key: 'b' }));
  });

  it('tells the holder within 50 ms that its session was terminated, whichever session it is', async () => {
    const [one, other] = [await backend(), await backend()];
    const tried = await take(one, request());
    const req = request({}, 20_000);
    const blocking = await take(other, req);
    const waiting = enqueue(one, req);
    await waiting.placed;
    await release(other, blocking);
    const waited = await waiting.grant;
    expect(waited.owner.id).not.toBe(tried.owner.id);
    for (const grant of [waited, tried]) {
      const lost = new Promise<number>((resolve) => grant.owner.onLost(() => resolve(now())));
      const rival = enqueue(other, { ...grant.req, deadline: now() + 10_000 });
      await rival.placed;
      await server.query('select pg_terminate_backend($1)', [Number(/#(\d+)@/.exec(grant.owner.id)![1])]);
      const next = await inTime(rival.grant, 'the rival');
      const rivalAt = now();
      // The machine may pause; far below anything that a missing notice would take.
      expect((await inTime(lost, 'the loss')) - rivalAt).toBeLessThan(350);
      expect(grant.owner.provenUntil()).toBe(-Infinity);
      await expect(one.renew(grant, 1000)).rejects.toBeInstanceOf(LockLostError);
      await expect(release(one, grant)).resolves.toBe('gone');
      expect(next.fence!).toBeGreaterThan(grant.fence!);
      await release(other, next);
    }
  });

  it('queues again for callers whose place was lost, and for those whose process lost the lock', async () => {
    const [one, other] = [await backend(), await backend()];
    const req = request({}, 20_000);
    const first = await take(other, req);
    const all = [enqueue(one, req), enqueue(one, req)];
    await all[0]!.placed;
    const waits = await until(async () => (await locks()).find(({ granted }) => !granted), 'the place');
    await server.query('select pg_terminate_backend($1)', [waits.pid]);
    await until(async () => {
      const place = (await locks()).find(({ granted }) => !granted);
      return place && place.pid !== waits.pid;
    }, 'another place');
    await release(other, first);
    const grant = await inTime(all[0]!.grant, 'the first grant');
    const { pid } = (await locks())[0]!;
    await server.query('select pg_terminate_backend($1)', [pid]);
    const second = await inTime(all[1]!.grant, 'the second grant');
    expect(await release(one, grant)).toBe('gone');
    expect(await release(one, second)).toBe('released');
    await nothingLeft();
    expect(await held(one)).toBe(0);
  });

  it('leaves nothing behind where a wait is cancelled while it is granted', async () => {
    const [one, other] = [await backend(), await backend()];
    const bystander = await take(one, request());
    let granted = 0;
    for (let round = 0; round < 100; round++) {
      const req = request({ key: `race:${round % 3}` });
      const first = await take(other, req);
      const waiting = enqueue(one, req);
      await until(async () => (await one.stats())[0]!.places === 1, 'the place');
      const released = release(other, first);
      if (round % 2) await new Promise((resolve) => setTimeout(resolve, (round % 10) / 5));
      waiting.cancel(new Error('enough'));
      await released;
      await waiting.grant.then(
        (grant) => {
          granted++;
          return release(one, grant);
        },
        () => undefined,
      );
      await until(async () => (await locks()).length === 1, `round ${round} to leave nothing`);
    }
    expect(granted).toBeLessThan(100);
    expect(bystander.owner.provenUntil()).toBeGreaterThan(now());
    expect(await release(one, bystander)).toBe('released');
    expect(await held(one)).toBe(0);
  }, 60_000);

  it('polls for keys beyond its wait connections, and says so', async () => {
    const [one, other] = [await backend({ maxWaitConnections: 1 }), await backend()];
    const [a, b, c] = [request(), request(), request({}, 400)];
    const grants = [await take(other, a), await take(other, b), await take(other, c)];
    const [first, second, third] = [enqueue(one, a), enqueue(one, b), enqueue(one, c)];
    await Promise.all([first.placed, second.placed, third.placed]);
    expect((await one.stats())[0]).toMatchObject({ places: 1, polling: 2, queues: 3, waiters: 3 });
    await expect(third.grant).rejects.toBeInstanceOf(PoolExhaustedError);
    expect(events.filter(({ detail }) => detail?.includes('option postgresBackend.maxWaitConnections'))).toHaveLength(
      1,
    );
    await release(other, grants[1]!);
    await release(one, await inTime(second.grant, 'the grant of a poll'));
    await release(other, grants[0]!);
    await release(one, await inTime(first.grant, 'the grant of a place'));
    await release(other, grants[2]!);
    await nothingLeft();
  });

  it('gives a queue that polls the connection that becomes free', async () => {
    const [one, other] = [await backend({ maxWaitConnections: 1 }), await backend()];
    const [a, b] = [request({}, 20_000), request({}, 20_000)];
    const grants = [await take(other, a), await take(other, b)];
    const [first, second] = [enqueue(one, a), enqueue(one, b)];
    await Promise.all([first.placed, second.placed]);
    first.cancel(new Error('enough'));
    await until(async () => {
      const [stats] = await one.stats();
      return stats!.polling === 0 && stats!.places === 1;
    }, 'the place of the second key');
    await release(other, grants[1]!);
    await release(one, await inTime(second.grant, 'the grant'));
    await release(other, grants[0]!);
  });

  it('refuses an acquire beyond maxHeld, and says so before', async () => {
    const one = await backend({ maxHeld: 3 });
    const all = await Promise.all(
      Array.from({ length: 5 }, () => one.tryAcquire(request()).catch((error: LockError) => error)),
    );
    expect(all.filter((outcome) => outcome instanceof MaxLocksError)).toHaveLength(2);
    expect((all.at(-1) as LockError).message).toContain('option postgresBackend.maxHeld');
    expect(events.some(({ detail }) => detail?.includes('option postgresBackend.maxHeld'))).toBe(true);
    await release(one, all[0] as Grant);
    const waiting = enqueue(one, request());
    await release(one, await waiting.grant);
    expect(await held(one)).toBe(2);
  });

  it('never has more than maxHeld at the server, whenever callers give up', async () => {
    const limit = 50;
    const [one, other, watcher] = [await backend({ maxHeld: limit }), await backend(), await client()];
    // Some are taken, so that callers wait at the server too.
    const taken = [1, 2, 3].map((i) => request({ key: `taken:${i}` }));
    const grants = await Promise.all(taken.map((req) => take(other, req)));
    let [most, looks, isOver] = [0, 0, false];
    const watch = async (): Promise<void> => {
      while (!isOver) {
        const all = await answer(
          "(select count(*)::int from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock')",
          watcher,
        );
        most = Math.max(most, Number(all) - taken.length);
        looks++;
      }
    };
    const watching = watch();
    const callers = [...taken, ...Array.from({ length: 2 * limit }, () => request())];
    for (let round = 0; round < 100; round++) {
      const mine = callers.map((req) => enqueue(one, { ...req, deadline: now() + 10_000 }));
      mine.push(enqueue(one, { ...request({ key: 'taken:sem', kind: 'sem', limit: 2 }), deadline: now() + 10_000 }));
      for (let turns = round % 4; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      const given: Promise<unknown>[] = [];
      for (const waiting of mine) {
        waiting.cancel(new Error('enough'));
        given.push(waiting.grant.then((grant) => release(one, grant)).catch(() => undefined));
      }
      await Promise.all(given);
    }
    isOver = true;
    await watching;
    expect(looks).toBeGreaterThan(20);
    expect(most).toBeGreaterThan(limit / 2);
    expect(most).toBeLessThanOrEqual(limit);
    await Promise.all(grants.map((grant) => release(other, grant)));
    await until(async () => (await held(one)) === 0, 'everything to be counted off');
    await nothingLeft();
  });

  it('refuses a caller at its deadline, and not before', async () => {
    const [one, other] = [await backend(), await backend()];
    const req = request();
    const first = await take(other, req);
    const began = now();
    const all = [200, 100, 300].map((ms) =>
      enqueue(one, { ...req, deadline: began + ms }).grant.catch((error: unknown) => [error, now() - began]),
    );
    const ends = (await Promise.all(all)) as [unknown, number][];
    for (const [error] of ends) expect(error).toBeInstanceOf(AcquireTimeoutError);
    expect(ends[1]![1]).toBeLessThan(ends[0]![1]);
    expect(ends[0]![1]).toBeLessThan(ends[2]![1]);
    for (const [i, ms] of [200, 100, 300].entries()) expect(ends[i]![1]).toBeGreaterThanOrEqual(ms - 1);
    await until(async () => (await waitingAtServer()) === 0, 'the place to be given up');
    await release(other, first);
    await nothingLeft();
  });

  it('has no connection for a ticket beyond the cap', async () => {
    const [one, other] = [await backend({ maxWaitConnections: 1 }), await backend()];
    const req = request();
    const first = await take(other, req);
    const tickets = [enqueue(one, { ...req, deadline: Infinity }, 'ticket'), enqueue(one, req, 'ticket')];
    expect(await tickets[0]!.placed).toBe('queued');
    await expect(tickets[1]!.grant).rejects.toBeInstanceOf(PoolExhaustedError);
    await release(other, first);
    await release(one, await tickets[0]!.grant);
    await nothingLeft();
    expect(await held(one)).toBe(0);
  });

  it('renews for nothing', async () => {
    const one = await backend();
    const grant = await take(one, request());
    const { statements } = (await one.stats())[0]!;
    for (let i = 0; i < 1000; i++) await one.renew(grant, 30_000);
    expect((await one.stats())[0]!.statements).toBe(statements);
  });

  it('keeps the process alive until whatever a caller waits for is answered', async () => {
    const one = await backend();
    const slots = request({ kind: 'sem', limit: 2 });
    const calls: Record<string, () => Promise<unknown>> = {
      'a try for a lock': () => one.tryAcquire(request()),
      'a try for a slot': () => one.tryAcquire(slots),
      'whether all slots are held': () => one.isLocked(slots.key, 'sem'),
      'whether a lock is held': () => one.isLocked(request().key, 'lock'),
    };
    for (const [name, ask] of Object.entries(calls)) {
      server.pause();
      const asked = ask();
      await new Promise(setImmediate);
      const during = heldSockets();
      server.resume();
      await asked;
      expect([name, during - heldSockets()]).toEqual([name, 1]);
    }
  });

  it('goes on after a restart of the server, with callers that were waiting', async () => {
    const [one, other] = [await backend(), await backend()];
    const req = request({}, 30_000);
    const first = await take(other, req);
    const lost = new Promise<string>((resolve) => first.owner.onLost((reason) => resolve(reason)));
    const waiting = enqueue(one, req);
    await waiting.placed;
    await server.restart('fast');
    expect(await inTime(lost, 'the loss')).toBe('disconnected');
    const grant = await inTime(waiting.grant, 'the grant after the restart', 20_000);
    expect(grant.fence!).toBeGreaterThan(first.fence!);
    await release(one, grant);
    expect(events.map(({ state }) => state)).toEqual(expect.arrayContaining(['down', 'up']));
  }, 60_000);
});
