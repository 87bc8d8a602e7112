import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { drizzle } from 'drizzle-orm/node-postgres';
import knex from 'knex';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import postgres from 'postgres';
import { DataSource } from 'typeorm';
import type { PgClientClass } from '../../../../../lib/backends/postgres/sessions/pg-client.js';
import { recogniseSource } from '../../../../../lib/backends/postgres/sessions/source.js';
import { ConfigError, type LockError } from '../../../../../lib/common/errors.js';

const SECRET = 'hunter2';

function refusal(call: () => unknown): LockError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(SECRET);
    return error as LockError;
  }
  throw new Error('it was taken');
}

/** What pg is told. */
class SeenClient {
  readonly connection = { stream: { destroy: (): void => undefined, on: (): void => undefined } };
  readonly connectionParameters = {};
  constructor(readonly config: Record<string, unknown>) {}
}

async function configOf(source: unknown): Promise<Record<string, unknown>> {
  const recognised = recogniseSource(source, async () => ({
    default: { Client: SeenClient as unknown as PgClientClass },
  }));
  await recognised.load();
  return (recognised.newClient() as unknown as SeenClient).config;
}

async function clientOf(source: unknown): Promise<pg.Client & { connectionParameters: Record<string, unknown> }> {
  const recognised = recogniseSource(source);
  await recognised.load();
  return recognised.newClient() as never;
}

const KEEPALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 5000 };

describe('the source of a Postgres backend', () => {
  describe('is a connection string', () => {
    it.each([
      ['postgres://locker:hunter2@db:6000/app', 'db', 6000, 'app'],
      ['postgresql://locker:hunter2@[::1]/app?sslmode=disable', '::1', 5432, 'app'],
      [
        'postgres://locker:hunter2@db/app?schema=public&connection_limit=5&pool_timeout=2&pgbouncer=true',
        'db',
        5432,
        'app',
      ],
      ['postgres://locker:hunter2@/app?host=/run/postgresql', '/run/postgresql', 5432, 'app'],
      ['postgres:///app?host=/run/postgresql&user=locker&password=hunter2', '/run/postgresql', 5432, 'app'],
    ])('%s', async (text, host, port, database) => {
      const client = await clientOf(text);
      expect([client.host, client.port, client.database, client.user, client.password]).toEqual([
        host,
        port,
        database,
        'locker',
        SECRET,
      ]);
    });

    it('without the parameters that do not concern these connections', async () => {
      const text =
        'postgres://db/app?schema=x&sslmode=no-verify&statement_timeout=1&lock_timeout=1&query_timeout=1&application_name=x' +
        '&options=-c%20geqo%3Doff&binary=1&replication=database&client_encoding=latin1&connect_timeout=3&host=other';
      expect(await configOf(text)).toEqual({
        connectionString: 'postgres://db/app?sslmode=no-verify&options=-c%20geqo%3Doff&host=other',
        ...KEEPALIVE,
      });
      expect(await configOf('postgres://db/app?schema=x')).toEqual({
        connectionString: 'postgres://db/app',
        ...KEEPALIVE,
      });
    });

    it('that says whether it was meant for a pooler', () => {
      expect(recogniseSource('postgres://db/app?pgbouncer=true&schema=x').namesPooler).toBe(true);
      expect(recogniseSource({ connectionString: 'postgres://db/app?pgbouncer=true' }).namesPooler).toBe(true);
      expect(recogniseSource('postgres://db/app?pgbouncer=false').namesPooler).toBe(false);
    });

    it.each([
      ['', 'is empty; is an environment variable not set?'],
      ['  ', 'is empty'],
      ['prisma://accelerate.prisma-data.net/?api_key=hunter2', 'direct address of the database'],
      ['prisma+postgres://localhost:51213/?api_key=hunter2', 'direct address of the database'],
      ['mysql://root:hunter2@db/app', 'it begins with mysql://'],
      ['https://hunter2@db/app', 'it begins with https://'],
      ['db.example.org:5432/hunter2', 'must begin with postgres://'],
      ['host=db password=hunter2', 'must begin with postgres://'],
      ['postgres:hunter2', 'must begin with postgres://'],
      ['hunter2', 'must begin with postgres://'],
      ['undefined', 'must begin with postgres://'],
      ['postgres://', 'neither a host nor a database'],
      ['postgres://?schema=public', 'neither a host nor a database'],
    ])('but not %j', (text, expected) => {
      expect(refusal(() => recogniseSource(text)).message).toContain(expected);
      if (text.trim() !== '')
        expect(refusal(() => recogniseSource({ connectionString: text })).message).toContain(expected);
    });

    it.each([
      'postgres://locker:hunter2#@db:5432x/app',
      'postgres://locker:hunter2%ff@db/app',
      'postgres://a:hunter2@db:99999/app',
    ])('but not what is no URL: %s', async (text) => {
      const source = recogniseSource(text);
      await source.load();
      expect(refusal(() => source.newClient()).message).toMatch(/not a URL; encode special characters/);
    });

    it.each([
      [
        'MySQL://x',
        'postgresBackend must begin with postgres:// or postgresql://; it begins with mysql://; for anything',
      ],
      ['db:5432', 'must begin with postgres:// or postgresql://; for anything'],
      ['x postgres://db', 'must begin with postgres:// or postgresql://; for anything'],
      ['Prisma://x', 'begins with prisma://, an address of'],
    ])('but not %j, and says what it begins with', (text, expected) => {
      expect(refusal(() => recogniseSource(text)).message).toContain(expected);
    });

    it.each([' postgres://db/app', 'postgres://db/app\n', '\tpostgres://db/app?schema=x \n'])(
      'with space around it, as files of secrets end: %j',
      async (text) => {
        for (const source of [text, { connectionString: text }]) {
          expect((await configOf(source))['connectionString']).toBe('postgres://db/app');
        }
      },
    );

    it.each([
      'postgres://locker:hunter2@one:5432,two:5432/app',
      'postgres://one,two/app',
      'postgres://one/app?host=/a,/b',
      'postgres://one/app?user=x&host=one%2Ctwo',
    ])('but not with several hosts, of which pg would make one name: %s', (text) => {
      expect(refusal(() => recogniseSource(text)).message).toContain('several hosts');
    });

    it('with a comma elsewhere', async () => {
      const text = 'postgres://a,b:c,d@db/e,f?options=-c%20x=1,2';
      expect((await configOf(text))['connectionString']).toBe(text);
    });

    it('in capitals, and with a question mark that nothing follows', async () => {
      expect((await clientOf('POSTGRES://db/app')).host).toBe('db');
      expect((await clientOf('postgres://db/app?')).host).toBe('db');
      expect((await clientOf('postgres://?host=db')).host).toBe('db');
      refusal(() => recogniseSource('postgres:///?host='));
      expect(recogniseSource('postgres://db/app').namesPooler).toBe(false);
      expect(recogniseSource('postgres://db/app?pgbouncer=true1').namesPooler).toBe(false);
    });

    it('with each parameter for the connection', async () => {
      const kept =
        'host=a&port=1&user=b&password=c&db=d&encoding=e&options=f&ssl=g&sslmode=h&sslcert=i&sslkey=j&sslrootcert=k' +
        '&sslnegotiation=l&uselibpqcompat=m';
      const { connectionString } = await configOf(`postgres://db/app?x=1&${kept}&hosts=2`);
      expect(connectionString).toBe(`postgres://db/app?${kept}`);
    });

    it('but not one that names a file that is not there', async () => {
      const source = recogniseSource('postgres://locker:hunter2@db/app?sslrootcert=/nowhere/ca.pem');
      await source.load();
      expect(refusal(() => source.newClient()).message).toContain('/nowhere/ca.pem');
    });
  });

  describe('is a configuration', () => {
    it('whose values for the connection are kept', async () => {
      const password = async (): Promise<string> => SECRET;
      const stream = (): undefined => undefined;
      const kept = {
        host: 'db',
        port: 1,
        database: 'app',
        user: 'x',
        password,
        ssl: true,
        stream,
        options: '-c geqo=off',
      };
      const dropped = {
        max: 3,
        statement_timeout: 1,
        types: {},
        binary: true,
        application_name: 'x',
        connectionTimeoutMillis: 1,
      };
      expect(await configOf({ ...kept, ...dropped })).toEqual({ ...kept, ...KEEPALIVE });
    });

    it('with every name that pg and its Pool know', async () => {
      const names = [
        'allowExitOnIdle', 'application_name', 'binary', 'client_encoding', 'Client', 'connectionTimeoutMillis',
        'fallback_application_name', 'idleTimeoutMillis', 'idle_in_transaction_session_timeout', 'keepAlive',
        'keepAliveInitialDelayMillis', 'lock_timeout', 'log', 'max', 'maxLifetimeSeconds', 'maxUses', 'min', 'onConnect',
        'pipeline', 'poolSize', 'Promise', 'query_timeout', 'replication', 'statement_timeout', 'types', 'verify',
      ]; // prettier-ignore
      const ignored = Object.fromEntries(names.map((name) => [name, 1]));
      const used = { enableChannelBinding: true, sslnegotiation: 'direct', scramMaxIterations: 1, port: '5433' };
      expect(await configOf({ host: 'db', ...ignored, ...used })).toEqual({ host: 'db', ...used, ...KEEPALIVE });
    });

    it.each([1, 65_535, '1', undefined])('with the port %j', (port) => {
      expect(recogniseSource({ host: 'db', port })).toBeDefined();
    });

    it.each([0, 65_536, -1, '', 'x'])('but not with the port %j', (port) => {
      expect(refusal(() => recogniseSource({ host: 'db', port })).message).toContain('a number between 1 and 65535');
    });

    it.each([
      ['username', 'user'],
      ['url', 'connectionString'],
      ['uri', 'connectionString'],
      ['dbname', 'database'],
      ['hostname', 'host'],
    ])('but not with %s, which is %s', (name, instead) => {
      const { message } = refusal(() => recogniseSource({ [name]: SECRET }));
      expect(message).toBe(`postgresBackend: the configuration has an unknown name, "${name}"; pg calls it ${instead}`);
    });

    it('without a prototype too', () => {
      expect(recogniseSource(Object.assign(Object.create(null) as object, { host: 'db' }))).toBeDefined();
    });

    it('whose time-outs, replication and binary format the process may not decide', async () => {
      const client = await clientOf({ host: 'db' });
      const { connectionParameters: parameters } = client;
      expect(parameters).toMatchObject({
        query_timeout: 0,
        statement_timeout: 0,
        lock_timeout: 0,
        host: 'db',
        port: 5432,
      });
      expect(parameters['idle_in_transaction_session_timeout']).toBe(0);
      expect([parameters['replication'], (client as never as { binary: unknown }).binary]).toEqual([undefined, false]);
    });

    it('with an address in it', async () => {
      const config = { connectionString: 'postgres://db/app?schema=x', ssl: true, max: 5 };
      expect(await configOf(config)).toEqual({ connectionString: 'postgres://db/app', ssl: true, ...KEEPALIVE });
      expect(recogniseSource({ host: 'db' }).namesPooler).toBe(false);
    });

    it('as it was when it was given', async () => {
      const config = { host: 'db', database: 'app' };
      const recognised = recogniseSource(config);
      config.database = 'other';
      await recognised.load();
      expect(recognised.newClient().database).toBe('app');
    });

    it.each<[string, object, string]>([
      ['nothing', {}, 'must have a connectionString or a host'],
      ['no address', { user: 'x', database: 'app', password: SECRET }, 'must have a connectionString or a host'],
      ['a variable that is not set as its address', { connectionString: undefined }, 'no value for connectionString'],
      ['a variable that is not set as its host', { host: undefined, password: SECRET }, 'no value for host'],
      ['a variable that is not set as its database', { host: 'db', database: undefined }, 'no value for database'],
      ['a variable that is empty as its user', { host: 'db', user: '' }, 'no value for user'],
      ['a port that is no number', { host: 'db', port: Number('x') }, 'port must be a number'],
      ['names of TypeORM', { host: 'db', username: SECRET }, 'unknown name, "username"; pg calls it user'],
      [
        'a configuration of TypeORM',
        { type: 'postgres', url: SECRET },
        'unknown name, "url"; pg calls it connectionString',
      ],
      [
        'a misspelt name',
        { host: 'db', pasword: SECRET },
        'unknown name, "pasword"; known are connectionString, host, port,',
      ],
      ['one socket for several connections', { host: 'db', stream: { on: SECRET } }, 'stream must be a function'],
      ['a host that is no string', { host: 7 }, 'host must be a string, got number'],
      ['several hosts', { host: 'one,two' }, 'several hosts'],
      ['a database that is no string', { host: 'db', database: ['app'] }, 'database must be a string, got an array'],
      ['a user that is no string', { host: 'db', user: 7 }, 'user must be a string, got number'],
      ['options that are no string', { host: 'db', options: { x: SECRET } }, 'options must be a string, got an object'],
      [
        'a password that is no string',
        { host: 'db', password: { token: SECRET } },
        'password must be a string or a function, got an object',
      ],
      ['an address that is no string', { connectionString: { href: SECRET } }, 'must be a string, got an object'],
    ])('but not with %s', (_name, config, text) => {
      expect(refusal(() => recogniseSource(config)).message).toContain(text);
    });
  });

  describe('is a Pool', () => {
    it('of which the configuration and the class of clients are used, and no connection', async () => {
      class OwnClient extends pg.Client {}
      const pool = new pg.Pool({
        host: 'db',
        user: 'x',
        database: 'app',
        password: SECRET,
        max: 1,
        Client: OwnClient,
      });
      const client = await clientOf(pool);
      expect(client).toBeInstanceOf(OwnClient);
      expect([client.host, client.password]).toEqual(['db', SECRET]);
      expect(pool.totalCount).toBe(0);
    });

    it('of a library that names no class of clients, then of pg', async () => {
      const pool = { options: { host: 'db' }, totalCount: 0, connect: (): void => undefined, Client: undefined };
      expect(await clientOf(pool)).toBeInstanceOf(pg.Client);
      expect(await configOf(pool)).toEqual({ host: 'db', ...KEEPALIVE });
    });

    it('of pg, which is not imported then', async () => {
      const recognised = recogniseSource(new pg.Pool({ host: 'db' }), () => Promise.reject(new Error('imported')));
      await recognised.load();
      expect(recognised.newClient()).toBeInstanceOf(pg.Client);
    });

    it('but not one with values that pg would trip over when it connects', () => {
      const pool = new pg.Pool({ host: 'db', user: 7 as never });
      expect(refusal(() => recogniseSource(pool)).message).toContain('user must be a string, got number');
    });

    it('but not one made from a variable that is not set', () => {
      const pool = new pg.Pool({ connectionString: undefined });
      expect(refusal(() => recogniseSource(pool)).message).toContain('no value for connectionString');
    });
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'undefined'],
    ['a promise', Promise.resolve(SECRET), 'a Promise'],
    ['something else', { destroy: () => SECRET }, 'an object'],
  ])('says so if its stream makes %s instead of a socket', async (_, made, got) => {
    const source = recogniseSource({ host: 'db', stream: () => made });
    await source.load();
    expect(refusal(() => source.newClient()).message).toBe(
      `postgresBackend: stream must be a function that makes a socket; it returned ${got}`,
    );
  });

  it('says what it expects', () => {
    expect(refusal(() => recogniseSource(5)).message).toBe(
      'postgresBackend: expected a connection string, a configuration for pg or a Pool of pg, got number',
    );
  });

  it('is no pool by half', () => {
    const whole = { options: {}, totalCount: 0, connect: () => undefined };
    for (const half of [{ options: null }, { options: 1 }, { totalCount: undefined }, { connect: 1 }]) {
      expect(refusal(() => recogniseSource({ ...whole, ...half })).message).toContain('unknown name');
    }
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      'Kysely',
      () => new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool() }) }),
      /of Kysely; give the Pool of its/,
    ],
    ['Drizzle', () => drizzle(new pg.Pool()), /of Drizzle; give its Pool: db.\$client/],
    ['MikroORM', () => ({ getConnection: () => 0, transactional: () => 0 }), /of MikroORM; give the connection string/],
    ['pg-promise', () => Object.assign(() => 0, { $pool: {}, $cn: {} }), /of pg-promise; give its Pool: db.\$pool/],
    [
      'a proxy that throws',
      () =>
        new Proxy(new Map(), {
          get: (target, name) => {
            if (name === 'then') return undefined;
            if (name === 'options' || name === 'connect' || name === 'totalCount') return undefined;
            throw new Error(`${target.size}`);
          },
        }),
      /got a Map/,
    ],
    ['a variable that is not set', () => undefined, /got undefined; is an environment variable not set/],
    ['null', () => null, /got null/],
    ['a number', () => 5432, /got number/],
    ['an array', () => ['postgres://db'], /got an array/],
    ['a promise', () => Promise.resolve('postgres://db'), /await it first/],
    ['a URL', () => new URL('postgres://locker:hunter2@db/app'), /give its href/],
    [
      'a Client',
      () => new pg.Client({ host: 'db', password: SECRET }),
      /single connection; give its configuration or a Pool/,
    ],
    ['postgres.js', () => postgres('postgres://locker:hunter2@db/app'), /of postgres.js, which reconnects unnoticed/],
    ['Knex', () => knex({ client: 'pg', connection: { password: SECRET } }), /of Knex; give what `connection` is/],
    ['TypeORM', () => new DataSource({ type: 'postgres', password: SECRET }), /of TypeORM.*dataSource.driver.master/],
    ['Prisma', () => ({ $connect: () => 0, $queryRawUnsafe: () => 0 }), /of Prisma.*connection string/],
    [
      'PGlite',
      () => ({ query: () => 0, exec: () => 0, dumpDataDir: () => 0 }),
      /PGlite.*embedded: true, without a backend/,
    ],
    ['another object', () => new Map([['password', SECRET]]), /got a Map/],
    ['a function', () => () => SECRET, /got a function/],
  ])('is not %s', (_name, make, text) => {
    expect(refusal(() => recogniseSource(make())).message).toMatch(text);
  });

  it('needs pg where no Pool is given, and says how to get it', async () => {
    const cause = Object.assign(new Error(`Cannot find package 'pg'`), { code: 'ERR_MODULE_NOT_FOUND' });
    const missing = recogniseSource('postgres://db/app', () => Promise.reject(cause));
    await expect(missing.load()).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringContaining('npm install pg'),
    });
    await expect(missing.load()).rejects.toHaveProperty('cause', cause);
    const empty = recogniseSource('postgres://db/app', async () => ({}));
    await expect(empty.load()).rejects.toThrow('the package pg has no Client; version 8 or later is needed');
  });

  it('needs the sockets of pg, which the native binding does not have', async () => {
    class NativeClient {
      readonly connectionParameters = {};
    }
    const pool = { options: { host: 'db' }, totalCount: 0, connect: (): void => undefined, Client: NativeClient };
    const recognised = recogniseSource(pool);
    await recognised.load();
    expect(refusal(() => recognised.newClient()).message).toContain('native binding');
  });

  it('shows nothing of itself', () => {
    for (const source of ['postgres://locker:hunter2@db/app', { host: 'db', password: SECRET }]) {
      const recognised = recogniseSource(source);
      expect(inspect(recognised)).toBe('ClientSource {}');
      const all = inspect(recognised, { depth: 9, showHidden: true, customInspect: false });
      expect(inspect(recognised) + JSON.stringify(recognised) + all).not.toMatch(/hunter2|db/);
    }
  });
});
