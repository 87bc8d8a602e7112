import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { AcquireRequest, Grant, LinkEvent, LockBackend } from '../../../../lib/backends/backend.js';
import { AcquireTimeoutError, ConfigError, LockUnavailableError } from '../../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../../lib/common/system.js';
import { LockClient } from '../../../../lib/entries/client.js';
import { lockId, postgresBackend, type PostgresBackendOptions } from '../../../../lib/entries/postgres.js';
import { enqueue, release } from '../../../support/lock-backend.js';
import { describePostgresVersions } from '../../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../../support/postgres/server.js';
import { Proxy } from '../../../support/proxy.js';
import { until } from '../../../support/until.js';

const { now } = systemClock;

describePostgresVersions('holds that outlive their process', (version) => {
  let server: PostgresServer;
  let raw: pg.Client;
  let lastKey = 0;
  const made: LockBackend[] = [];
  const events: LinkEvent[] = [];
  const warnings: string[] = [];

  beforeAll(async () => {
    server = await PostgresServer.start({ version });
    raw = await server.connect();
    await server.query('create role app login');
  });
  afterAll(async () => {
    await raw?.end();
    await server?.stop();
  });
  beforeEach(() =>
    server.query('create table if not exists dflockd_kept (id bigint primary key, until timestamptz not null)'),
  );
  afterEach(async () => {
    await raw.query('rollback');
    await Promise.all(made.splice(0).map((one) => one.close(1000)));
    await server.query('drop table if exists dflockd_kept');
    events.length = warnings.length = 0;
  });

  /** One process. */
  async function backend(options: PostgresBackendOptions = { keep: true }, url = server.url): Promise<LockBackend> {
    const log = (_level: 'warn', message: string): void => void warnings.push(message);
    const one = postgresBackend(url, options)({ clock: systemClock, entropy: systemEntropy, log });
    made.push(one);
    one.onLink((event) => events.push(event));
    await one.start();
    return one;
  }

  const request = (waitMs = 10_000): AcquireRequest => ({
    key: `key:${++lastKey}`,
    kind: 'lock',
    limit: 1,
    leaseMs: 30_000,
    deadline: now() + waitMs,
  });
  async function take(one: LockBackend, req: AcquireRequest): Promise<Grant> {
    const grant = await one.tryAcquire(req);
    if (!grant) throw new Error(`${req.key} is busy`);
    return grant;
  }
  const rows = (): Promise<unknown[]> => server.query('select id from dflockd_kept');
  const pidOf = ({ token }: Grant): number => Number(token.split('-')[0]);

  it('keep the lock after the process that released it has ended, from those who try and those who wait', async () => {
    const [a, b, c] = [await backend(), await backend(), await backend()];
    const req = request();
    const grant = await take(a, req);
    const began = now();
    expect(await release(a, grant, 600)).toBe('released');
    await a.close(0);
    const waiting = enqueue(b, req);
    await waiting.placed;
    const early = await c.tryAcquire(req);
    expect(early === null || now() - began >= 600).toBe(true);
    expect(await c.isLocked!(req.key, 'lock')).toBe(true);
    const next = await waiting.grant;
    expect(now() - began).toBeGreaterThan(590);
    expect(next.fence!).toBeGreaterThan(grant.fence!);
  });

  it('let the waiter at the head wait the rest out, and keep the order of the server', async () => {
    const [a, b, c] = [await backend(), await backend(), await backend()];
    const req = request();
    const other = await take(b, request());
    await release(b, other);
    await release(a, await take(a, req), 500);
    const order: string[] = [];
    const first = enqueue(b, req);
    // Not the try, which has the lock for a moment on another session.
    const isHead = (lock: { id: bigint; pid: number; granted: boolean }): boolean =>
      lock.granted && lock.id === lockId(req.key) && lock.pid !== pidOf(other);
    await until(async () => (await server.advisoryLocks()).some(isHead), 'the head');
    const second = enqueue(c, req);
    await second.placed;
    void first.grant.then((grant) => {
      order.push('first');
      return release(b, grant);
    });
    void second.grant.then(() => order.push('second'));
    await second.grant;
    expect(order).toEqual(['first', 'second']);
  });

  it('end on time for a waiter whose deadline comes first', async () => {
    const [a, b] = [await backend(), await backend()];
    const req = request();
    await release(a, await take(a, req), 60_000);
    const began = now();
    await expect(enqueue(b, { ...req, deadline: began + 200 }).grant).rejects.toThrow(AcquireTimeoutError);
    expect(now() - began).toBeGreaterThan(199);
    await until(async () => (await server.advisoryLocks()).length === 0, 'nothing to be held');
  });

  it('are kept if the process is killed between the two statements of its release', async () => {
    const proxy = await Proxy.to(server.port);
    try {
      const [a, b] = [await backend({ keep: true }, `postgres://postgres@${proxy.address}/postgres`), await backend()];
      const req = request();
      const grant = await take(a, req);
      const began = now();
      // What the server answers to the first statement never arrives.
      proxy.hold(['down']);
      const outcome = release(a, grant, 1500);
      await until(async () => (await rows()).length === 1, 'the row');
      await server.query('select pg_terminate_backend($1)', [pidOf(grant)]);
      const waiting = enqueue(b, req);
      await waiting.grant;
      expect(now() - began).toBeGreaterThan(1490);
      proxy.pass();
      expect(await outcome).toBe('released');
    } finally {
      await proxy.close();
    }
  });

  it('are over if the process is killed before the first statement of its release', async () => {
    const [a, b] = [await backend(), await backend()];
    const req = request();
    const grant = await take(a, req);
    await raw.query('begin; lock table dflockd_kept in share mode');
    const outcome = release(a, grant, 60_000).catch((error: unknown) => error);
    await server.query('select pg_terminate_backend($1)', [pidOf(grant)]);
    expect(await outcome).toBeInstanceOf(LockUnavailableError);
    expect(await take(b, req)).toBeDefined();
    expect(await rows()).toEqual([]);
  });

  it('are kept by the process itself while the table is locked', async () => {
    const [a, b] = [await backend(), await backend()];
    const req = request();
    const grant = await take(a, req);
    await raw.query('begin; lock table dflockd_kept in share mode');
    expect(await release(a, grant, 500)).toBe('released');
    expect(events).toContainEqual(expect.objectContaining({ state: 'degraded' }));
    const began = now();
    expect(await b.tryAcquire(req)).toBeNull();
    await raw.query('rollback');
    await enqueue(b, req).grant;
    expect(now() - began).toBeGreaterThan(300);
  });

  it('let nobody in while the table cannot be read', async () => {
    const [a, b] = [await backend(), await backend()];
    const req = request();
    await raw.query('begin; lock table dflockd_kept in access exclusive mode');
    await expect(a.tryAcquire(req)).rejects.toThrow(LockUnavailableError);
    const waiting = enqueue(b, req);
    await raw.query('rollback');
    await waiting.grant;
  });

  it('let nobody in while the table is gone, and go on when it is back', async () => {
    const a = await backend();
    const req = request();
    await server.query('drop table dflockd_kept');
    await expect(a.tryAcquire(req)).rejects.toThrow(/is gone; create it with/);
    expect(events).toContainEqual(expect.objectContaining({ detail: expect.stringMatching(/is gone/) }));
    const waiting = enqueue(a, req);
    await backend();
    await waiting.grant;
  });

  it('are refused at the start without rights, with the statements that grant them', async () => {
    const url = server.urlOf({ user: 'app' });
    await expect(backend({ keep: true }, url)).rejects.toThrow(ConfigError);
    await expect(backend({ keep: true }, url)).rejects.toThrow(
      /grant select, insert, update, delete on public.dflockd_kept/,
    );
    await expect(backend({ keep: 'public.other', ensureSchema: false })).rejects.toThrow(/"other" does not exist/);
    await server.query('grant all on dflockd_kept to app');
    const one = await backend({ keep: true }, url);
    const req = request();
    expect(await release(one, await take(one, req), 200)).toBe('released');
  });

  it('create their table once, for all processes that start together', async () => {
    await server.query('drop table dflockd_kept');
    await Promise.all([backend(), backend(), backend(), backend()]);
    expect(await rows()).toEqual([]);
  });

  it('are announced: a process with another setting is warned', async () => {
    await backend();
    await backend({});
    await until(() => warnings.length > 0, 'the warning');
    expect(warnings).toEqual([
      expect.stringMatching(/^option postgresBackend\.keep is off here and on in another process/),
    ]);
  });

  it('are kept in the process alone without the option', async () => {
    const [a, b] = [await backend({}), await backend({})];
    expect(a.capabilities.keepAfterRelease).toBe(false);
    const req = request();
    const began = now();
    expect(await release(a, await take(a, req), 300)).toBe('released');
    expect(await b.tryAcquire(req)).toBeNull();
    await enqueue(b, req).grant;
    expect(now() - began).toBeGreaterThan(290);
  });

  it('are minimum holds of clients', async () => {
    const config = { backend: postgresBackend(server.url, { keep: true }) };
    const [one, other] = [await LockClient.connect(config), await LockClient.connect(config)];
    const key = `key:${++lastKey}`;
    const began = now();
    await one.withLock(key, { minHoldS: 0.5 }, () => undefined);
    await one.close();
    await (await other.acquire(key)).release();
    expect(now() - began).toBeGreaterThan(490);
    await other.close();
  });
});
