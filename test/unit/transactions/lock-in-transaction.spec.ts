import { describe, expect, it } from '@jest/globals';
import { ConfigError, LockKeyError, LockUnavailableError } from '../../../lib/common/errors.js';
import { lockId, lockInTransaction, tryLockInTransaction } from '../../../lib/entries/postgres.js';

/** What the server says to the first statement. */
const FACTS = { began: '1796002953226446', pid: '77', isolation: 'read committed', product: 'PostgreSQL 16.14 on x86' };

/** A client of pg whose server answers that. */
function clientOf(
  facts: object,
  fence: unknown = '1796002953230000',
): { query(text: string): unknown; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    query: async (text) => {
      asked.push(text);
      return { rows: [asked.length === 1 ? { ...FACTS, standby: 'false', ...facts } : { fence }] };
    },
  };
}

describe('lockInTransaction', () => {
  it.each([
    [{ timeoutMs: -1 }, /^option timeoutMs: expected a number between 0 and 2147483000, got -1$/],
    [{ timeoutMs: Infinity }, /^option timeoutMs: .* got Infinity$/],
    [{ timeoutMs: '5' }, /^option timeoutMs: .* got "5"$/],
    [{ namespace: 'a b' }, /^option namespace: expected text that is allowed in a key/],
    [{ lockId: 'md5' }, /^option lockId: /],
    [{ acquireTimeoutS: 5 }, /^option acquireTimeoutS is unknown, got 5; known options: namespace, lockId, timeoutMs$/],
    [null, /^option options: expected an object, got null$/],
    ['5', /^option options: expected an object, got "5"$/],
  ])('refuses the options %p before it asks the server', async (options, message) => {
    const client = clientOf({});
    const error: unknown = await lockInTransaction(client, 'a', options as never).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(message);
    expect(client.asked).toEqual([]);
  });

  it.each(['', 'a b', 7, undefined])('refuses the key %p before it asks the server', async (key) => {
    const client = clientOf({});
    await expect(lockInTransaction(client, key as never)).rejects.toBeInstanceOf(LockKeyError);
    await expect(tryLockInTransaction(client, key as never)).rejects.toBeInstanceOf(LockKeyError);
    expect(client.asked).toEqual([]);
  });

  it.each([
    ['CockroachDB CCL v25.2.0', 'CockroachDB'],
    [undefined, 'undefined'],
  ])('refuses the server %p, whose locks are none', async (product, shown) => {
    const client = clientOf({ product });
    await expect(lockInTransaction(client, 'a')).rejects.toThrow(ConfigError);
    await expect(lockInTransaction(clientOf({ product }), 'a')).rejects.toThrow(shown);
    expect(client.asked).toHaveLength(1);
  });

  it('refuses a standby', async () => {
    await expect(tryLockInTransaction(clientOf({ standby: 'true' }), 'a')).rejects.toThrow(LockUnavailableError);
  });

  it.each([{ began: 1796002953226446 }, { pid: '7; drop table account' }, { began: undefined }])(
    'refuses a server that answers %p',
    async (facts) => {
      const client = clientOf(facts);
      await expect(lockInTransaction(client, 'a')).rejects.toThrow(
        /^lockInTransaction: pg does not answer as Postgres/,
      );
      expect(client.asked).toHaveLength(1);
    },
  );

  it.each([
    ['MySQL', { code: 'ER_PARSE_ERROR', sqlState: '42000' }],
    ['SQLite', { code: 'SQLITE_ERROR' }],
    ['SQL Server', { code: 'EREQUEST' }],
  ])('says that %s does not understand it', async (_name, fields) => {
    const cause = Object.assign(new Error('syntax'), fields);
    const refused = lockInTransaction({ query: () => Promise.reject(cause) }, 'a');
    await expect(refused).rejects.toThrow(expect.objectContaining({ name: 'ConfigError', cause }));
    await expect(refused).rejects.toThrow('the server behind pg does not understand SQL of Postgres');
  });

  it.each([{ code: '42501' }, { code: '57P01' }, { code: 'ECONNRESET' }, {}])(
    'passes on an error with %p of the library',
    async (fields) => {
      const error = Object.assign(new Error('the server failed'), fields);
      await expect(lockInTransaction({ query: () => Promise.reject(error) }, 'a')).rejects.toBe(error);
    },
  );

  it('locks only in the session and the transaction that answered', async () => {
    const client = clientOf({});
    await expect(lockInTransaction(client, 'a', { timeoutMs: 5.2 })).resolves.toEqual({ fence: 1796002953230000000n });
    expect(client.asked[1]).toMatch(
      /^select case when \S.*now\(\).* = 1796002953226446 and pg_backend_pid\(\) = 77 then /,
    );
    expect(client.asked[1]).toContain("set_config('lock_timeout', '6', true)");
    await expect(lockInTransaction(clientOf({}, null), 'a')).rejects.toThrow(/no transaction of pg is open here/);
  });

  it('writes nothing of a key into SQL as it is', async () => {
    const client = clientOf({});
    await lockInTransaction(client, "'||$1?:a--", { lockId: 'hashtext' });
    expect(client.asked[1]).toContain(`hashtext(convert_from(decode('277c7c24313f3a612d2d', 'hex'), 'UTF8'))`);
  });

  it('needs a transaction, for the compiler too', async () => {
    // @ts-expect-error -- text is none
    await expect(lockInTransaction('begin', 'a')).rejects.toThrow(ConfigError);
    // @ts-expect-error -- an object without any of the methods is none
    await expect(tryLockInTransaction({ transaction: 1 }, 'a')).rejects.toThrow(ConfigError);
  });
});

describe('lockId', () => {
  it('differs between a lock and a semaphore', () => {
    expect(lockId('account:7')).toBe(-4113936301733423615n);
    expect(lockId('account:7', 'sem')).toBe(-1190247639258099404n);
  });

  it('of a key that is too long is that of the key which the backend is given', () => {
    const long = 'a'.repeat(65_537);
    expect(lockId(long)).not.toBe(lockId(`${long}b`));
    expect(lockId(long)).toBe(lockId(long));
  });

  it('refuses what is no key, and no kind', () => {
    expect(() => lockId('a b')).toThrow(LockKeyError);
    expect(() => lockId('a', 'app' as never)).toThrow(ConfigError);
  });
});
