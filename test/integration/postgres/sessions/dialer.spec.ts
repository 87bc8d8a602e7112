import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { AuthError, ConfigError, LockUnavailableError, PoolExhaustedError } from '../../../../lib/common/errors.js';
import type { Session } from '../../../../lib/backends/postgres/sessions/session.js';
import {
  ALL_OF_POSTGRES,
  describePostgres,
  describePostgresVersions,
} from '../../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../../support/postgres/server.js';
import { inTime, until } from '../../../support/until.js';
import { ask, dialers, failure, heldSockets, T, valueOf } from './support.js';

const long = ALL_OF_POSTGRES ? it : it.skip;

const SETTINGS = `select string_agg(name || '=' || setting, ' ' order by name) from pg_settings where name in
  ('idle_session_timeout', 'statement_timeout', 'lock_timeout', 'transaction_timeout', 'search_path', 'jit',
   'client_connection_check_interval', 'plan_cache_mode')`;

const expectedSettings = (version: number, kind: Session['kind']): string =>
  [
    'client_connection_check_interval=1000',
    `idle_session_timeout=${T}`,
    'jit=off',
    `lock_timeout=${kind === 'command' ? 1000 : 0}`,
    'plan_cache_mode=force_generic_plan',
    'search_path=pg_catalog',
    'statement_timeout=0',
    ...(version >= 17 ? ['transaction_timeout=0'] : []),
  ].join(' ');

describePostgresVersions('sessions', (version) => {
  const dialerTo = dialers();
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start({ version, settings: { max_connections: 20 } });
    await server.query(`create role locker login password 'hunter2'`);
    for (const name of [
      'statement_timeout',
      'lock_timeout',
      'idle_session_timeout',
      'idle_in_transaction_session_timeout',
    ]) {
      await server.query(`alter role locker set ${name} = '300ms'`);
    }
    await server.query(`alter role locker set search_path = 'public'`);
    if (version >= 17) await server.query(`alter role locker set transaction_timeout = '300ms'`);
    await server.query(`create role loner login connection limit 1`);
  });
  afterAll(() => server?.stop());

  it('tell who they are, and what the server is', async () => {
    const dialer = dialerTo(server.url);
    const { command, wait } = await dialer.start();
    const rows = await server.query<{ pid: number; name: string; start: string }>(
      `select pid, application_name as name, backend_start::text as start from pg_stat_activity
       where application_name like 'nestjs-dflockd:%:${process.pid}' order by backend_start`,
    );
    expect(rows.map(({ pid }) => pid)).toEqual([command.pid, wait!.pid]);
    const [{ same }] = (await server.query('select $1::timestamptz = $2::timestamptz as same', [
      command.backendStart,
      rows[0]!.start,
    ])) as [{ same: boolean }];
    expect(same).toBe(true);
    expect(command.server).toBe(`${server.address}/postgres`);
    expect(dialer.server).toBe(command.server);
    expect(dialer.facts).toEqual({
      version: expect.stringMatching(`^${version}\\.`),
      versionNumber: expect.any(Number),
      systemIdentifier: expect.stringMatching(/^\d{15,}$/),
      timeline: 1,
      maxConnections: 20,
      lockTableSize: 64 * 20,
      isPooled: false,
    });
  });

  it('have the settings that they need, whatever the role has', async () => {
    const dialer = dialerTo(server.urlOf({ user: 'locker' }));
    const { command, wait } = await dialer.start();
    expect(await valueOf(command, SETTINGS)).toBe(expectedSettings(version, 'command'));
    expect(await valueOf(wait!, SETTINGS)).toBe(expectedSettings(version, 'wait'));
    // Three times as long as the role may.
    await ask(command, 'select pg_advisory_lock(1)');
    const waited = ask(wait!, 'select pg_advisory_lock(1)', true);
    await new Promise((resolve) => setTimeout(resolve, 900));
    await ask(command, 'select pg_advisory_unlock(1)');
    await expect(waited).resolves.toHaveLength(1);
  });

  it('have a second one only where there is room for it', async () => {
    const dialer = dialerTo(server.urlOf({ user: 'loner' }));
    const { command, wait } = await dialer.start();
    expect(wait).toBeUndefined();
    expect(await valueOf(command, 'select pg_try_advisory_lock(11)')).toBe('t');
    await expect(dialer.connect('wait')).rejects.toBeInstanceOf(PoolExhaustedError);
    const error = await failure(dialer.connect('command'));
    expect(error).toBeInstanceOf(LockUnavailableError);
    expect((error.cause as { code?: string }).code).toBe('53300');
    expect((await server.advisoryLocks()).filter(({ pid }) => pid === command.pid)).toHaveLength(1);
    expect(dialer.facts).toMatchObject({ systemIdentifier: expect.any(String), timeline: 1 });
  });

  it('leave nothing locked by the checks', async () => {
    const { command, wait } = await dialerTo(server.url).start();
    const ours = (await server.advisoryLocks()).filter(({ pid }) => [command.pid, wait!.pid].includes(pid));
    expect(ours).toEqual([]);
  });

  it('go on after a statement that the server refuses', async () => {
    const { command } = await dialerTo(server.url).start();
    const results = await Promise.allSettled([
      ask(command, 'select pg_try_advisory_lock(7)'),
      ask(command, 'select 1 / 0'),
      ask(command, 'select 8'),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await server.advisoryLocks()).filter(({ id }) => id === 7n)).toMatchObject([{ pid: command.pid }]);
  });

  it('give values as text', async () => {
    const { command } = await dialerTo(server.url).start();
    expect(await ask(command, `select 1::bigint, true, null, array[1, 2], now() is null`)).toEqual([
      ['1', 't', null, '{1,2}', 'f'],
    ]);
  });
});

describePostgres('a session', () => {
  const dialerTo = dialers();
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server?.stop());

  long('outlives its timeout, since it speaks', async () => {
    const { command, wait } = await dialerTo(server.url).start();
    await new Promise((resolve) => setTimeout(resolve, 1.5 * T));
    expect([command.isEnded, wait!.isEnded]).toEqual([false, false]);
  });

  it('keeps the process alive only while somebody waits for it', async () => {
    const before = heldSockets();
    const { command } = await dialerTo(server.url).start();
    expect(heldSockets()).toBe(before);
    command.hold(true);
    expect(heldSockets()).toBe(before + 1);
    command.hold(false);
    expect(heldSockets()).toBe(before);
  });

  it('that is terminated says so at once, and frees what it had', async () => {
    const { command } = await dialerTo(server.url).start();
    await ask(command, 'select pg_advisory_lock(5)');
    const ended = new Promise<Error>((resolve) => command.onEnd(resolve));
    await server.query('select pg_terminate_backend($1)', [command.pid]);
    expect(await inTime(ended, 'the end')).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('administrator'),
    });
    await until(async () => (await server.advisoryLocks()).length === 0);
  });

  it('that is terminated while it waits tells who waits', async () => {
    const { command, wait } = await dialerTo(server.url).start();
    await ask(command, 'select pg_advisory_lock(5)');
    const waited = failure(ask(wait!, 'select pg_advisory_lock(5)', true));
    await until(async () => (await server.advisoryLocks()).some(({ granted }) => !granted));
    await server.query('select pg_terminate_backend($1)', [wait!.pid]);
    expect(await inTime(waited, 'the end')).toBeInstanceOf(LockUnavailableError);
    expect(wait!.isEnded).toBe(true);
  });

  long('that is ended while it waits gives its place up within a second', async () => {
    const { command, wait } = await dialerTo(server.url).start();
    await ask(command, 'select pg_advisory_lock(5)');
    const waited = failure(ask(wait!, 'select pg_advisory_lock(5)', true));
    await until(async () => (await server.advisoryLocks()).some(({ granted }) => !granted));
    wait!.end(new LockUnavailableError('gone'));
    await waited;
    await until(async () => (await server.advisoryLocks()).length === 1);
  });

  it('notices a server that stands still, before the server could free its locks', async () => {
    const sessionTimeoutMs = 600;
    const { command } = await dialerTo(server.url, { sessionTimeoutMs }).start();
    const provenAt = command.provenAt;
    const ended = new Promise<number>((resolve) => command.onEnd(() => resolve(performance.now())));
    server.pause();
    const at = await inTime(ended, 'the end');
    server.resume();
    expect(at).toBeGreaterThanOrEqual(provenAt + sessionTimeoutMs - 50);
    expect(command.provenUntil()).toBe(-Infinity);
  });

  long('whose process says nothing is ended by the server', async () => {
    const { command } = await dialerTo(server.url).start();
    const silent = await server.connect({ options: `-c idle_session_timeout=${T}` });
    await silent.query('select pg_advisory_lock(9)');
    await until(async () => (await valueOf(command, 'select pg_try_advisory_lock(9)')) === 't');
  });
});

describePostgres('a connection', () => {
  const dialerTo = dialers();
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start({
      hba: ['host all trusted all trust', 'host all closed all reject', 'host all all all scram-sha-256'],
    });
    await server.query(`create role trusted login`);
    await server.query(`create role closed login`);
    await server.query(`create role locker login password 'hunter2'`);
    await server.query(`create role barred login password 'hunter2'`);
    await server.query(`create database walled`);
    await server.query(`revoke connect on database walled from public`);
  });
  afterAll(() => server?.stop());

  const url = (more: object = {}): string => server.urlOf({ user: 'locker', password: 'hunter2', ...more });

  describe('is made with', () => {
    const works = async (source: unknown): Promise<void> => {
      const { command } = await dialerTo(source).start();
      expect(await valueOf(command, 'select current_user')).toBe('locker');
      command.end(new LockUnavailableError('done'));
    };

    it('a connection string, also one of Prisma', async () => {
      await works(url());
      await works(`${url()}?schema=app&connection_limit=1&pool_timeout=1&statement_timeout=1&application_name=x`);
    });

    it('a configuration, also one whose password is a function', async () => {
      const { host, port } = server;
      await works({ host, port, user: 'locker', password: 'hunter2', database: 'postgres' });
      let asked = 0;
      const password = async (): Promise<string> => `hunter${++asked && 2}`;
      await works({ host, port, user: 'locker', password, database: 'postgres' });
      expect(asked).toBe(2);
    });

    it('a Pool, which lends nothing', async () => {
      const { host, port } = server;
      const pools = [
        new pg.Pool({ connectionString: url(), max: 1, statement_timeout: 1, query_timeout: 1 }),
        new pg.Pool({ host, port, user: 'locker', password: 'hunter2', database: 'postgres', lock_timeout: 1 }),
      ];
      for (const pool of pools) {
        await works(pool);
        expect(pool.totalCount).toBe(0);
        await pool.end();
      }
    });

    it('the options of the user before its own', async () => {
      const options = '-c geqo=off -c lock_timeout=1 -c idle_session_timeout=1';
      for (const source of [`${url()}?options=${encodeURIComponent(options)}`, { connectionString: url(), options }]) {
        const { command } = await dialerTo(source).start();
        expect(await valueOf(command, `select current_setting('geqo') || current_setting('lock_timeout')`)).toBe(
          'off1s',
        );
      }
    });

    it('neither the time-outs nor the parsers that pg has for the process', async () => {
      const before = { ...pg.defaults };
      const parser = pg.types.getTypeParser(20);
      Object.assign(pg.defaults, { query_timeout: 50, statement_timeout: 50, lock_timeout: 50, binary: true });
      pg.types.setTypeParser(20, () => {
        throw new Error('a parser of the application');
      });
      try {
        const { command } = await dialerTo(url()).start();
        expect(await ask(command, 'select 7::bigint from pg_sleep(0.3)')).toEqual([['7']]);
      } finally {
        Object.assign(pg.defaults, before);
        pg.types.setTypeParser(20, parser);
      }
    });
  });

  describe('is refused', () => {
    it.each<[string, () => unknown, new (...args: never[]) => Error, string | RegExp]>([
      ['a wrong password', () => url({ password: 'hunter3' }), AuthError, 'password authentication failed'],
      ['a role that does not exist', () => url({ user: 'nobody' }), AuthError, 'password authentication failed'],
      ['no password', () => url({ password: '' }), AuthError, 'must be a string'],
      ['a role that pg_hba.conf refuses', () => url({ user: 'closed' }), AuthError, /pg_hba.conf rejects.*TLS/],
      ['a database that does not exist', () => url({ database: 'nowhere' }), ConfigError, '"nowhere" does not exist'],
      ['a database without the right', () => url({ database: 'walled' }), ConfigError, 'denies a right'],
      ['TLS', () => `${url()}?sslmode=verify-full`, ConfigError, 'does not support SSL connections; leave out ssl'],
      ['options that no server has', () => `${url()}?options=-c%20nonsense%3D1`, ConfigError, 'nonsense'],
    ])('with %s', async (_name, source, type, text) => {
      const error = await failure(dialerTo(source()).start());
      expect(error).toBeInstanceOf(type);
      expect(error.message).toMatch(text);
      expect(error.isTransient).toBe(false);
    });

    it('for a while where it was accepted before', async () => {
      const dialer = dialerTo(url({ user: 'barred' }));
      await dialer.start();
      await server.query(`alter role barred password 'other'`);
      const error = await failure(dialer.connect('wait'));
      expect(error).toBeInstanceOf(AuthError);
      expect(error.isTransient).toBe(true);
      await server.query(`alter role barred password 'hunter2'`);
      await dialer.connect('wait');
    });

    it('for a while by nobody who listens, by a name that is unknown and by who is silent', async () => {
      const { host } = server;
      for (const more of [{ host, port: 1 }, { host: 'nowhere.invalid' }]) {
        const error = await failure(dialerTo({ user: 'x', database: 'y', ...more }).start());
        expect(error).toBeInstanceOf(LockUnavailableError);
        expect(error.message).toMatch(/ECONNREFUSED|ENOTFOUND|EAI_AGAIN/);
      }
      server.pause();
      try {
        const error = await failure(dialerTo(url(), { connectTimeoutMs: 100 }).start());
        expect(error.message).toContain('no answer within 200 ms');
      } finally {
        server.resume();
      }
    });
  });
});
