import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type pg from 'pg';
import { KeepSetting } from '../../../../lib/backends/postgres/keep/keep-setting.js';
import { KeptHolds } from '../../../../lib/backends/postgres/keep/kept-holds.js';
import { schemaScript } from '../../../../lib/backends/postgres/keep/schema.js';
import { checkKeep } from '../../../../lib/backends/postgres/keep/table-name.js';
import { Alarms } from '../../../../lib/common/alarms.js';
import { ConfigError, LockUnavailableError } from '../../../../lib/common/errors.js';
import { systemClock } from '../../../../lib/common/system.js';
import { describePostgresVersions } from '../../../support/postgres/describe-postgres.js';
import { RawSession } from '../../../support/postgres/raw-session.js';
import { PostgresServer } from '../../../support/postgres/server.js';
import { until } from '../../../support/until.js';

describePostgresVersions('the table of kept holds', (version) => {
  let server: PostgresServer;
  const clients: pg.Client[] = [];

  beforeAll(async () => {
    server = await PostgresServer.start({ version });
    await server.query('create role app login');
  });
  afterAll(() => server?.stop());
  beforeEach(() => server.query('create schema app'));
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()));
    await server.query('drop schema app cascade');
    await server.query('drop table if exists public.dflockd_kept');
  });

  interface User {
    readonly session: RawSession;
    readonly kept: KeptHolds;
    readonly degraded: string[];
  }

  async function user(table: string | true = 'app.kept', config: pg.ClientConfig = {}): Promise<User> {
    const client = await server.connect({ options: '-c lock_timeout=150 -c search_path=pg_catalog', ...config });
    clients.push(client);
    const session = new RawSession(client);
    const degraded: string[] = [];
    const kept = new KeptHolds(checkKeep('keep', table)!, {
      clock: systemClock,
      alarms: new Alarms(systemClock),
      runner: session,
      degraded: (detail) => degraded.push(detail),
    });
    return { session, kept, degraded };
  }

  async function ready(table?: string | true): Promise<User> {
    const one = await user(table);
    await one.kept.prepare(true);
    return one;
  }

  const keep = ({ kept }: User, id: bigint | [number, number], keepMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      kept.keep(id, keepMs, (error) => (error ? reject(error) : resolve()));
    });
  const look = ({ kept }: User, id: bigint | [number, number]): Promise<number> =>
    new Promise((looked, lookFailed) => kept.look({ id, looked, lookFailed }));
  const rows = (): Promise<{ id: string }[]> => server.query('select id from app.kept order by id');
  const published = async (): Promise<number> =>
    (await server.query("select from pg_locks where locktype = 'advisory'")).length;
  const expired = (id: number): Promise<unknown> =>
    server.query(`insert into app.kept values (${id}, clock_timestamp() - interval '1 second')`);

  it('is created once, although many processes start at the same moment', async () => {
    const users = await Promise.all(Array.from({ length: 8 }, () => user()));
    await Promise.all(users.map(({ kept }) => kept.prepare(true)));
    expect(await rows()).toEqual([]);
    await users[0]!.kept.prepare(false);
  });

  it('is public.dflockd_kept by default', async () => {
    await keep(await ready(true), 7n, 60_000);
    expect(await server.query('select id from public.dflockd_kept')).toEqual([{ id: '7' }]);
  });

  it.each(['"we""ird $dflockd$ schema;--"."my.table"', 'order.user'])('may have the name %s', async (name) => {
    const { schema } = checkKeep('keep', name)!;
    await server.query(`create schema "${schema.replaceAll('"', '""')}"`);
    try {
      const one = await ready(name);
      await keep(one, 1n, 60_000);
      expect(await look(one, 1n)).toBeGreaterThan(59_000);
    } finally {
      await server.query(`drop schema "${schema.replaceAll('"', '""')}" cascade`);
    }
  });

  it('is not created without ensureSchema: the error has the two statements', async () => {
    const { kept } = await user('app.kept', { user: 'app' });
    await server.query('grant usage on schema app to app');
    const error = await kept.prepare(false).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toBe(
      'option postgresBackend.keep: the table "app"."kept" does not exist. An administrator creates it with: ' +
        'create table if not exists "app"."kept" (id bigint primary key, until timestamptz not null); ' +
        'grant select, insert, update, delete on "app"."kept" to app;',
    );
    await server.query((error as Error).message.replace(/^.* with: /s, ''));
    await kept.prepare(false);
  });

  it('names the statements to a role that may not create it', async () => {
    const { kept } = await user('app.kept', { user: 'app' });
    await expect(kept.prepare(true)).rejects.toThrow(ConfigError);
    await server.query('grant usage on schema app to app');
    await expect(kept.prepare(true)).rejects.toThrow(
      /could not be created: .*permission denied.*grant select.* to app;/,
    );
    await server.query(schemaScript(checkKeep('keep', 'app.kept')!, 'app'));
    await kept.prepare(true);
  });

  it('needs each of its rights at the start, not at the first release', async () => {
    const { kept } = await user('app.kept', { user: 'app' });
    await server.query(schemaScript(checkKeep('keep', 'app.kept')!, 'app'));
    await server.query('grant usage on schema app to app');
    for (const right of ['select', 'insert', 'update', 'delete']) {
      await server.query(`revoke ${right} on app.kept from app`);
      await expect(kept.prepare(true)).rejects.toThrow(/may not be used: .*permission denied/);
      await server.query(`grant ${right} on app.kept to app`);
    }
    await kept.prepare(true);
  });

  it.each([
    ['no such schema', 'nowhere.kept', 'select 1'],
    ['no key', 'app.kept', 'create table app.kept (id bigint, until timestamptz)'],
    ['another column', 'app.kept', 'create table app.kept (id bigint primary key, till timestamptz)'],
    ['another type', 'app.kept', 'create table app.kept (id bigint primary key, until text)'],
    ['a text for a key', 'app.kept', 'create table app.kept (id text primary key, until timestamptz)'],
    ['a view', 'app.kept', 'create view app.kept as select 1::bigint as id, now() as until'],
    ['a sequence', 'app.kept', 'create sequence app.kept'],
    ['an index', 'app.kept', 'create table app.t (id bigint); create index kept on app.t (id)'],
  ])('is refused with %s', async (_name, table, statement) => {
    await server.query(statement);
    const { kept } = await user(table);
    await expect(kept.prepare(true)).rejects.toThrow(ConfigError);
    await expect(kept.prepare(true)).rejects.toThrow(/^option postgresBackend\.keep: the table /);
  });

  it('is refused to a session that cannot write', async () => {
    await ready();
    const { kept } = await user('app.kept', { options: '-c default_transaction_read_only=on' });
    await expect(kept.prepare(true)).rejects.toThrow(/cannot be written/);
  });

  it('says for how long an id is kept', async () => {
    const one = await ready();
    expect(await look(one, 5n)).toBe(0);
    await keep(one, 5n, 60_000);
    const rest = await look(one, 5n);
    expect(rest).toBeLessThanOrEqual(60_000);
    expect(rest).toBeGreaterThan(55_000);
    expect(await look(one, 6n)).toBe(0);
    expect(await look(await ready(), 5n)).toBeGreaterThan(55_000);
  });

  it('keeps ids of every kind apart', async () => {
    const one = await ready();
    const ids: (bigint | [number, number])[] = [-(2n ** 63n), 2n ** 63n - 1n, [-1, 2 ** 31 - 1], [1, -1], [1, 0]];
    for (const [i, id] of ids.entries()) {
      expect(await look(one, id)).toBe(0);
      await keep(one, id, 1_000_000 * (i + 1));
    }
    for (const [i, id] of ids.entries()) expect(Math.ceil((await look(one, id)) / 1_000_000)).toBe(i + 1);
  });

  it('is asked once for all grants of a turn', async () => {
    const one = await ready();
    await keep(one, 7n, 60_000);
    one.session.sent.length = 0;
    const rests = await Promise.all(Array.from({ length: 100 }, (_, i) => look(one, BigInt(i))));
    expect(one.session.sent).toHaveLength(1);
    expect(rests.findIndex((rest) => rest > 0)).toBe(7);
    expect(rests.filter((rest) => rest > 0)).toHaveLength(1);
  });

  it('never shortens a hold', async () => {
    const one = await ready();
    await keep(one, 5n, 60_000);
    await keep(one, 5n, 10);
    expect(await look(one, 5n)).toBeGreaterThan(55_000);
  });

  it('forgets holds that are over, and extends one that is', async () => {
    const one = await ready();
    await expired(1);
    await expired(2);
    expect(await look(one, 1n)).toBe(0);
    await keep(one, 2n, 60_000);
    expect(await rows()).toEqual([{ id: '2' }]);
    expect(await look(one, 2n)).toBeGreaterThan(55_000);
  });

  it('leaves rows alone that another session works on', async () => {
    const one = await ready();
    await expired(1);
    const other = await server.connect();
    clients.push(other);
    await other.query('begin');
    await other.query('update app.kept set until = until where id = 1');
    await keep(one, 2n, 60_000);
    expect(await rows()).toEqual([{ id: '1' }, { id: '2' }]);
  });

  it('reads infinity as a long time', async () => {
    const one = await ready();
    await server.query("insert into app.kept values (1, 'infinity')");
    expect(await look(one, 1n)).toBeGreaterThan(24 * 3_600_000);
  });

  it('fails for a while if the table is locked', async () => {
    const one = await ready();
    const other = await server.connect();
    clients.push(other);
    await other.query('begin; lock table app.kept in access exclusive mode');
    await expect(look(one, 5n)).rejects.toThrow(LockUnavailableError);
    await expect(keep(one, 5n, 1000)).rejects.toThrow(/is locked/);
    await expect(one.kept.prepare(true)).rejects.toThrow(LockUnavailableError);
    expect(one.degraded).toHaveLength(1);
    await other.query('rollback');
    expect(await look(one, 5n)).toBe(0);
  });

  it('fails while the table is gone, and works again once it is back', async () => {
    const one = await ready();
    await keep(one, 5n, 60_000);
    await look(one, 5n);
    await server.query('drop table app.kept');
    await expect(look(one, 5n)).rejects.toThrow(LockUnavailableError);
    await expect(keep(one, 5n, 1000)).rejects.toThrow(/is gone; create it with create table/);
    expect(one.degraded).toEqual([expect.stringMatching(/is gone/)]);
    await (await user()).kept.prepare(true);
    expect(await look(one, 5n)).toBe(0);
    await keep(one, 5n, 60_000);
    expect(await look(one, 5n)).toBeGreaterThan(0);
  });

  it('tells all that look if the session ends', async () => {
    const one = await ready();
    const looks = Promise.allSettled([look(one, 1n), look(one, 2n)]);
    const { rows: pids } = await one.session.client.query('select pg_backend_pid() as pid');
    await server.query('select pg_terminate_backend($1)', [(pids as [{ pid: number }])[0].pid]);
    const late = look(one, 3n);
    await expect(late).rejects.toThrow(LockUnavailableError);
    expect(await looks).toHaveLength(2);
  });

  it('warns once where processes disagree about it, whichever started first', async () => {
    const warnings: string[] = [];
    const publish = async (table: string | undefined): Promise<void> => {
      const { session } = await user();
      const setting = new KeepSetting(table === undefined ? undefined : checkKeep('keep', table), session, (message) =>
        warnings.push(message),
      );
      setting.publish();
      setting.publish();
      await session.last;
    };
    await publish(undefined);
    await publish(undefined);
    expect(warnings).toEqual([]);
    await publish('app.kept');
    expect(warnings.splice(0)).toEqual([
      expect.stringMatching(/^option postgresBackend\.keep is "app"."kept" here and off in another/),
    ]);
    await publish('app.other');
    expect(warnings.splice(0)).toEqual([expect.stringMatching(/off in another/)]);
    await publish(undefined);
    expect(warnings.splice(0)).toEqual([
      expect.stringMatching(/^option postgresBackend\.keep is off here and on in another process/),
    ]);
    await Promise.all(clients.splice(0).map((client) => client.end()));
    await until(async () => (await published()) === 0, 'the end of the sessions');
    await publish('app.kept');
    await publish('app.other');
    expect(warnings).toEqual([expect.stringMatching(/another table/)]);
  });

  it('of two settings that are published at the same moment, at least one is warned', async () => {
    for (let round = 0; round < 20; round++) {
      const warnings: string[] = [];
      const settings = await Promise.all(
        [undefined, checkKeep('keep', 'app.kept')].map(async (table) => {
          const { session } = await user();
          return { session, setting: new KeepSetting(table, session, (message) => warnings.push(message)) };
        }),
      );
      for (const { setting } of settings) setting.publish();
      await Promise.all(settings.map(({ session }) => session.last));
      expect(warnings.length).toBeGreaterThan(0);
      await Promise.all(clients.splice(0).map((client) => client.end()));
      await until(async () => (await published()) === 0, 'the end of the sessions');
    }
  });
});
