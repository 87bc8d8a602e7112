import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type pg from 'pg';
import { AcquireTimeoutError, ConfigError, LockUnavailableError } from '../../../lib/common/errors.js';
import {
  lockId,
  lockInTransaction,
  type LockInTransactionOptions,
  tryLockInTransaction,
} from '../../../lib/entries/postgres.js';
import {
  ALL_OF_POSTGRES,
  describePostgres,
  describePostgresVersions,
} from '../../support/postgres/describe-postgres.js';
import { PostgresPair } from '../../support/postgres/pair.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { until } from '../../support/until.js';

const long = ALL_OF_POSTGRES ? it : it.skip;

describePostgresVersions('the statements of lockInTransaction', (version) => {
  let server: PostgresServer;
  let client: pg.Client;
  let other: pg.Client;

  beforeAll(async () => {
    server = await PostgresServer.start({ version });
    [client, other] = [await server.connect(), await server.connect()];
  });
  afterAll(async () => {
    await Promise.all([client?.end(), other?.end()]);
    await server?.stop();
  });
  beforeEach(() => client.query('begin'));
  afterEach(async () => {
    await Promise.all([client.query('rollback'), other.query('rollback')]);
    await other.query('select pg_advisory_unlock_all()');
  });

  const got = async (call: string): Promise<unknown> => {
    const { rows } = await other.query(`select ${call} as got`);
    return (rows as [{ got: unknown }])[0].got;
  };

  it('lock what SQL computes from the key', async () => {
    const key = "app:it's a ключ 🔑?:x".replaceAll(' ', '-');
    await lockInTransaction(client, key.slice(4), { namespace: 'app' });
    const { rows } = await other.query(
      `select ('x' || encode(substr(sha256(convert_to('dflockd:lock:' || $1::text, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
       as id`,
      [key],
    );
    const [{ id }] = rows as [{ id: string }];
    expect(BigInt(id)).toBe(lockId(key));
    expect(await got(`pg_try_advisory_lock(${id})`)).toBe(false);
  });

  it.each<[string, LockInTransactionOptions['lockId'], string]>([
    ['hashtext', 'hashtext', "pg_try_advisory_lock(hashtext('user''s:ü'))"],
    ['hashtextextended', 'hashtextextended', "pg_try_advisory_lock(hashtextextended('user''s:ü', 0))"],
    ['a function with a bigint', () => -(2n ** 63n), "pg_try_advisory_lock('-9223372036854775808')"],
    [
      'a function with two integers',
      () => [-(2 ** 31), 2 ** 31 - 1],
      "pg_try_advisory_lock('-2147483648', 2147483647)",
    ],
  ])('lock what another program locks by %s, both ways', async (_name, ids, call) => {
    await lockInTransaction(client, "user's:ü", { lockId: ids });
    expect(await got(call)).toBe(false);
    await client.query('commit');
    expect(await got(call)).toBe(true);
    await client.query('begin');
    expect(await tryLockInTransaction(client, "user's:ü", { lockId: ids })).toBe(false);
  });

  it('refuse a session without a transaction in the extended protocol too', async () => {
    const extended = { query: (text: string) => other.query({ text, queryMode: 'extended' } as pg.QueryConfig) };
    // Its parts arrive one after the other, so that this is no sign of a transaction.
    const { rows } = await extended.query('select now() <> statement_timestamp() as differ from pg_sleep(0)');
    expect(rows).toHaveLength(1);
    await expect(lockInTransaction(extended, 'a')).rejects.toThrow(ConfigError);
    await expect(tryLockInTransaction(extended, 'a')).rejects.toThrow(ConfigError);
    await other.query('begin');
    await lockInTransaction(extended, 'a');
    expect(await server.advisoryLocks()).toMatchObject([{ id: lockId('a') }]);
  });

  it('do not wait, nor lock, outside a transaction, although another holds the key', async () => {
    await lockInTransaction(client, 'a');
    await expect(lockInTransaction(other, 'a', { timeoutMs: 60_000 })).rejects.toThrow(/no transaction of pg is open/);
  });

  it('refuse what runs each statement in another session, a transaction in each', async () => {
    await other.query('begin');
    let turn = 0;
    const several = { query: (text: string) => (turn++ % 2 === 0 ? client : other).query(text) };
    await expect(lockInTransaction(several, 'a')).rejects.toThrow(ConfigError);
    expect(await server.advisoryLocks()).toEqual([]);
  });

  it('grant again what the transaction has, with a higher fence', async () => {
    const first = await lockInTransaction(client, 'a');
    const second = await lockInTransaction(client, 'a', { timeoutMs: 0 });
    expect(second.fence).toBeGreaterThan(first.fence);
  });

  it('give the next holder a higher fence', async () => {
    const { fence } = await lockInTransaction(client, 'a');
    await other.query('begin');
    const waiting = lockInTransaction(other, 'a');
    await until(async () => (await server.advisoryLocks()).some(({ granted }) => !granted), 'the waiter');
    await client.query('commit');
    expect((await waiting).fence).toBeGreaterThan(fence);
  });

  it('wait no longer than 10 s by themselves', async () => {
    const asked: string[] = [];
    const spy = { query: (text: string) => (asked.push(text), client.query(text)) };
    await lockInTransaction(spy, 'a');
    expect(asked).toHaveLength(2);
    expect(asked[1]).toContain("case former when '0' then '10000' else former end");
    const settings = await client.query('show lock_timeout');
    expect(settings.rows).toEqual([{ lock_timeout: '0' }]);
  });

  it('leave the transaction usable at a savepoint after a time-out, with its lock_timeout', async () => {
    await got(`pg_advisory_lock(${lockId('a')}) is not null`);
    await client.query('savepoint before');
    await expect(lockInTransaction(client, 'a', { timeoutMs: 20 })).rejects.toThrow(AcquireTimeoutError);
    await client.query('rollback to savepoint before');
    const { rows } = await client.query('show lock_timeout');
    expect(rows).toEqual([{ lock_timeout: '0' }]);
  });

  it('lose the lock when the transaction rolls back to a savepoint before it', async () => {
    await client.query('savepoint before');
    await lockInTransaction(client, 'a');
    await client.query('rollback to savepoint before');
    expect(await server.advisoryLocks()).toEqual([]);
  });

  it('pass on what else the server says', async () => {
    await client.query('select 1 / 0').catch(() => undefined);
    await expect(lockInTransaction(client, 'a')).rejects.toMatchObject({ code: '25P02' });
    await client.query('rollback');
    await client.query('begin');
    await got(`pg_advisory_lock(${lockId('a')}) is not null`);
    await client.query("set local statement_timeout = '30ms'");
    await expect(lockInTransaction(client, 'a')).rejects.toMatchObject({ code: '57014' });
  });
});

describePostgres('lockInTransaction on a standby', () => {
  long('is refused: its locks concern nobody else', async () => {
    const pair = await PostgresPair.start();
    try {
      const client = await pair.standby.connect();
      await client.query('begin');
      await expect(lockInTransaction(client, 'a')).rejects.toThrow(LockUnavailableError);
      await expect(tryLockInTransaction(client, 'a')).rejects.toThrow(/standby/);
      await client.end();
    } finally {
      await pair.stop();
    }
  });
});
