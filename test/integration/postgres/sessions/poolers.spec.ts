import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { ConfigError, LockUnavailableError } from '../../../../lib/common/errors.js';
import { ALL_OF_POSTGRES, describePgBouncer, describePostgres } from '../../../support/postgres/describe-postgres.js';
import { PostgresPair } from '../../../support/postgres/pair.js';
import { PgBouncer, type PgBouncerOptions } from '../../../support/postgres/pgbouncer.js';
import { PostgresServer } from '../../../support/postgres/server.js';
import { until } from '../../../support/until.js';
import { ask, dialers, failure, T, valueOf } from './support.js';

const long = ALL_OF_POSTGRES ? it : it.skip;

describePgBouncer('a dialer behind a PgBouncer', () => {
  const dialerTo = dialers();
  let server: PostgresServer;
  let bouncer: PgBouncer | undefined;
  beforeAll(async () => {
    server = await PostgresServer.start();
    await server.query('create role locker login');
  });
  afterEach(() => bouncer?.stop());
  afterAll(() => server?.stop());

  const behind = async (mode: PgBouncerOptions['mode'], more: Partial<PgBouncerOptions> = {}): Promise<string> => {
    bouncer = await PgBouncer.start(server, { mode, users: ['postgres', 'locker'], ...more });
    return bouncer.url;
  };

  const IGNORING = { settings: { ignore_startup_parameters: 'options' } };

  it.each<[PgBouncerOptions['mode'], string, Partial<PgBouncerOptions>]>([
    ['transaction', '', {}],
    ['transaction', ' with a pool of one', { poolSize: 1 }],
    ['transaction', ' that ignores options', IGNORING],
    ['statement', '', {}],
    ['statement', ' that ignores options', IGNORING],
  ])('in %s mode%s is refused, and nothing stays locked', async (mode, _name, more) => {
    const url = await behind(mode, more);
    const error = await failure(dialerTo(url, { connectTimeoutMs: 1000 }).start());
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/direct address.*pool_mode=session.*lockInTransaction works/);
    expect(error.message).not.toContain('directUrl');
    expect(await server.advisoryLocks()).toEqual([]);
  });

  it('whose address says pgbouncer=true hears what to give instead', async () => {
    const error = await failure(dialerTo(`${await behind('transaction')}?pgbouncer=true`).start());
    expect(error.message).toContain('directUrl');
  });

  it('is refused in transaction mode also while others use its sessions', async () => {
    const url = await behind('transaction', { poolSize: 2 });
    const other = await server.connect({ host: bouncer!.host, port: bouncer!.port });
    let isOver = false;
    const busy = (async () => {
      while (!isOver) {
        await other.query('select pg_sleep(0.002)');
        await new Promise((resolve) => setTimeout(resolve, 4 * Math.random()));
      }
    })();
    for (let i = 0; i < 20; i++) await expect(dialerTo(url).start()).rejects.toBeInstanceOf(ConfigError);
    isOver = true;
    await busy;
    await other.end();
    expect(await server.advisoryLocks()).toEqual([]);
  });

  it.each<[string, Partial<PgBouncerOptions>]>([
    ['', {}],
    [' that ignores options', IGNORING],
  ])('in session mode%s has sessions with their settings, also after a change', async (_name, more) => {
    const dialer = dialerTo(await behind('session', more));
    const { command, wait } = await dialer.start();
    expect(dialer.facts?.isPooled).toBe(true);
    const later = await dialer.connect('wait');
    command.end(new LockUnavailableError('over'));
    const again = await dialer.connect('command');
    expect(new Set([command.pid, wait!.pid, later.pid]).size).toBe(3);
    for (const [session, limit] of [
      [wait!, '0'],
      [later, '0'],
      [again, '1s'],
    ] as const) {
      expect(
        await valueOf(
          session,
          `select current_setting('idle_session_timeout') || ' ' || current_setting('lock_timeout')`,
        ),
      ).toBe(`2s ${limit}`);
    }
    expect(await server.advisoryLocks()).toEqual([]);
  });

  it('leaves no settings on sessions that others get', async () => {
    const dialer = dialerTo(await behind('session', { poolSize: 2 }));
    const { command, wait } = await dialer.start();
    for (const session of [command, wait!]) session.end(new LockUnavailableError('over'));
    const other = await server.connect({ host: bouncer!.host, port: bouncer!.port });
    const { rows } = await other.query(`select current_setting('idle_session_timeout') as t, pg_backend_pid() as pid`);
    expect(rows).toEqual([{ t: '0', pid: expect.any(Number) }]);
    expect([command.pid, wait!.pid]).toContain((rows as [{ pid: number }])[0].pid);
    await other.end();
  });

  it('says which database is unknown to it', async () => {
    const url = (await behind('session')).replace(/\/postgres$/, '/nowhere');
    const error = await failure(dialerTo(url).start());
    expect([error.name, error.message]).toEqual(['ConfigError', expect.stringContaining('nowhere')]);
  });

  it('says which role is unknown to it', async () => {
    const url = (await behind('session')).replace('postgres@', 'nobody@');
    const error = await failure(dialerTo(url).start());
    expect([error.name, error.message]).toEqual(['AuthError', expect.stringContaining('authentication failed')]);
  });

  it('waits for room in it', async () => {
    const url = await behind('session', { poolSize: 1 });
    const error = await failure(dialerTo(url, { connectTimeoutMs: 200 }).start());
    expect(error).toBeInstanceOf(LockUnavailableError);
    expect(error.message).toContain('within 400 ms');
  });

  long('frees the locks of a process that says nothing', async () => {
    const url = await behind('session');
    const { command } = await dialerTo(url).start();
    await ask(command, 'select pg_advisory_lock(3)');
    // Stands for a process that is stopped: nothing reaches the server any more.
    bouncer!.pause();
    const at = performance.now();
    await until(async () => (await server.advisoryLocks()).length === 0);
    expect(performance.now() - at).toBeLessThan(T + 1000);
    bouncer!.resume();
  });
});

describePostgres('a dialer to a standby', () => {
  const dialerTo = dialers();
  let pair: PostgresPair;
  beforeAll(async () => {
    pair = await PostgresPair.start();
  });
  afterAll(() => pair?.stop());

  it('is refused until it is promoted', async () => {
    const dialer = dialerTo(pair.standby.url);
    const error = await failure(dialer.start());
    expect(error).toBeInstanceOf(LockUnavailableError);
    expect(error.message).toContain('is a standby');
    const left = `select from pg_stat_activity where application_name like 'nestjs-dflockd%'`;
    await until(async () => (await pair.standby.query(left)).length === 0);
    await pair.standby.promote();
    await dialer.start();
    expect(dialer.facts?.timeline).toBe(2);
  });
});
