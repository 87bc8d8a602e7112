import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, expect, it } from '@jest/globals';
import pg from 'pg';
import { lockIdOf } from '../../../lib/backends/postgres/ids/lock-id.js';
import { selfSigned } from '../certificates.js';
import { Proxy } from '../proxy.js';
import { until } from '../until.js';
import { ALL_OF_POSTGRES, describePgBouncer, describePostgres, describePostgresVersions } from './describe-postgres.js';
import { PostgresPair } from './pair.js';
import { PgBouncer, type PgBouncerOptions } from './pgbouncer.js';
import { type PostgresOptions, PostgresServer } from './server.js';

const long = ALL_OF_POSTGRES ? it : it.skip;
const servers: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const server of servers.splice(0).reverse()) await server.stop();
});

const running = <T extends { stop(): Promise<void> }>(server: T): T => {
  servers.push(server);
  return server;
};
const start = async (options?: PostgresOptions): Promise<PostgresServer> =>
  running(await PostgresServer.start(options));

async function isHeard(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 300 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

describePostgresVersions('a Postgres server of a test', (version) => {
  long('answers, runs as an ordinary user, and is gone with its port and its folder when it is stopped', async () => {
    const server = await start({ version });
    const [row] = await server.query("select current_setting('server_version_num')::int / 10000 as version");
    expect(row).toEqual({ version });
    await expect(isHeard(server.url)).resolves.toBe(true);
    const folder = readdirSync(tmpdir()).find((name) => existsSync(`${tmpdir()}/${name}/.s.PGSQL.${server.port}`));
    expect(folder).toMatch(/^pg-/);
    await server.stop();
    expect(server.isRunning).toBe(false);
    await expect(isHeard(server.url)).resolves.toBe(false);
    expect(existsSync(`${tmpdir()}/${folder}`)).toBe(false);
  });
});

describePostgres('what a test does to a Postgres server', () => {
  long(
    'settings hold, and data stays over a restart, fast or immediate; only a fast one tells the clients why',
    async () => {
      const server = await start({ settings: { max_connections: 7 } });
      await server.query('create table kept (n int)');
      for (const how of ['fast', 'immediate'] as const) {
        const client = await server.connect();
        const codes: unknown[] = [];
        let hasEnded = false;
        client.on('error', ({ code }: Error & { code?: string }) => codes.push(code));
        client.once('end', () => (hasEnded = true));
        await client.query('insert into kept values (1)');
        await server.restart(how);
        await until(() => hasEnded, `the end after ${how}`);
        expect(codes.includes('57P01')).toBe(how === 'fast');
      }
      await expect(server.query('select count(*)::int as n from kept')).resolves.toEqual([{ n: 2 }]);
      await expect(server.query('show max_connections')).resolves.toEqual([{ max_connections: '7' }]);
    },
  );

  long('says nothing while it is paused, and goes on with what was asked', async () => {
    const server = await start();
    const client = await server.connect();
    server.pause();
    let isAnswered = false;
    const answer = client.query('select 1 as n').then(({ rows }) => {
      isAnswered = true;
      return rows as unknown;
    });
    await expect(isHeard(server.url)).resolves.toBe(false);
    expect(isAnswered).toBe(false);
    server.resume();
    await expect(answer).resolves.toEqual([{ n: 1 }]);
    await client.end();
  });

  long('is stopped although it is paused, and starts again after it was killed', async () => {
    const server = await start();
    await server.kill();
    expect(server.isRunning).toBe(false);
    await server.restart();
    await expect(server.query('select 1 as n')).resolves.toEqual([{ n: 1 }]);
    server.pause();
    await server.stop();
    expect(server.isRunning).toBe(false);
  });

  long('leaves no shared memory behind when it was killed', async () => {
    const server = await start();
    const [segment] = await server.query(
      `select split_part(trim(line), ' ', -1) as id
       from (select (string_to_array(pg_read_file('postmaster.pid'), E'\\n'))[7] as line) as seventh`,
    );
    const segments = (): string => readFileSync('/proc/sysvipc/shm', 'utf8');
    expect(segments()).toContain(` ${String(segment!['id'])} `);
    await server.kill();
    await server.stop();
    expect(segments()).not.toContain(` ${String(segment!['id'])} `);
  });

  long('shows advisory locks by the ids that JavaScript has', async () => {
    const server = await start();
    const client = await server.connect();
    const ids = ['a', 'b', 'c', 'd'].map((key) => lockIdOf('lock', key));
    for (const id of ids) await client.query('select pg_advisory_lock($1)', [id]);
    const locks = await server.advisoryLocks();
    expect(new Set(locks.map(({ id }) => id))).toEqual(new Set(ids));
    expect(locks.every(({ granted, mode }) => granted && mode === 'ExclusiveLock')).toBe(true);
    await client.end();
  });

  long('a black hole between it and a client', async () => {
    const server = await start();
    const proxy = await Proxy.to(server.port);
    const client = await server.connect({ port: Number(proxy.address.split(':')[1]) });
    proxy.blackHole();
    let isOver = false;
    const over = client.query('select 1').finally(() => (isOver = true));
    await expect(server.query('select 1 as n')).resolves.toEqual([{ n: 1 }]);
    expect(isOver).toBe(false);
    const refused = expect(over).rejects.toThrow();
    proxy.reset();
    await refused;
    await proxy.close();
  });

  long('TLS, and passwords where pg_hba.conf asks for them', async () => {
    const tls = await selfSigned();
    const server = await start({ tls, hba: ['hostssl all all all scram-sha-256', 'hostnossl all all all reject'] });
    await server.query("create role app login password 'secret'");
    const ssl = { ca: tls.cert };
    const client = await server.connect({ user: 'app', password: 'secret', ssl });
    await client.query('select 1');
    await client.end();
    await expect(server.connect({ user: 'app', password: 'wrong', ssl })).rejects.toMatchObject({ code: '28P01' });
    await expect(server.connect({ user: 'app', password: 'secret' })).rejects.toMatchObject({ code: '28000' });
  });

  long('a cluster of its own has a system identifier of its own', async () => {
    const all = [await start(), await start(), await start({ isFresh: true })];
    const ids = await Promise.all(
      all.map(
        async (server) => (await server.query('select system_identifier::text as id from pg_control_system()'))[0],
      ),
    );
    expect(ids[0]).toEqual(ids[1]);
    expect(ids[2]).not.toEqual(ids[0]);
  });

  long('a standby follows its primary, and is promoted when that is dead', async () => {
    const pair = running(await PostgresPair.start());
    await pair.primary.query('create table kept (n int)');
    await pair.primary.query('insert into kept values (1)');
    await pair.caughtUp();
    await expect(pair.standby.query('select n, pg_is_in_recovery() as r from kept')).resolves.toEqual([
      { n: 1, r: true },
    ]);
    await pair.primary.kill();
    await pair.standby.promote();
    await pair.standby.query('insert into kept values (2)');
    await expect(pair.standby.query('select pg_is_in_recovery() as r')).resolves.toEqual([{ r: false }]);
  });
});

describePgBouncer('a PgBouncer of a test', () => {
  async function heldOver(mode: PgBouncerOptions['mode']): Promise<number> {
    const server = await start();
    const bouncer = running(await PgBouncer.start(server, { mode }));
    const clients = await Promise.all(
      [0, 1, 2].map(async () => {
        const client = new pg.Client({ connectionString: bouncer.url });
        await client.connect();
        return client;
      }),
    );
    const pids = new Set<unknown>();
    for (const client of clients) {
      const { rows } = (await client.query('select pg_backend_pid() as pid')) as { rows: { pid: number }[] };
      pids.add(rows[0]!.pid);
    }
    await Promise.all(clients.map((client) => client.end()));
    return pids.size;
  }

  long.each([
    ['session', 3],
    ['transaction', 1],
    ['statement', 1],
  ] as const)('in %s mode gives three idle clients %i sessions', async (mode, sessions) => {
    await expect(heldOver(mode)).resolves.toBe(sessions);
  });
});
