import { describe, expect, it } from '@jest/globals';
import { lockIdOf } from '../../../../lib/backends/postgres/ids/lock-id.js';
import { advisoryIdOf, checkLockIds, type LockIds } from '../../../../lib/backends/postgres/ids/lock-id-option.js';
import { ConfigError, LockKeyError } from '../../../../lib/common/errors.js';

describe('the option lockId', () => {
  it('is sha256 by default', () => {
    expect(checkLockIds('lockId', undefined)).toBe('sha256');
    expect(advisoryIdOf('sha256', 'sem', 'a', 'lockId')).toBe(lockIdOf('sem', 'a'));
  });

  it.each(['hashtext', 'hashtextextended'] as const)('%s is computed by the server', (hash) => {
    expect(checkLockIds('lockId', hash)).toBe(hash);
    expect(advisoryIdOf(hash, 'lock', 'a', 'lockId')).toEqual({ hash });
  });

  it.each(['md5', '', null, 7, {}])('refuses %p', (value) => {
    const check = (): unknown => checkLockIds('postgresBackend.lockId', value);
    expect(check).toThrow(ConfigError);
    expect(check).toThrow(/^option postgresBackend\.lockId: expected 'sha256', 'hashtext', /);
  });

  it.each<[string, bigint | [number, number]]>([
    ['the highest', 2n ** 63n - 1n],
    ['the lowest', -(2n ** 63n)],
    ['zero', 0n],
    ['two integers', [-(2 ** 31), 2 ** 31 - 1]],
  ])('takes %s from a function, which is given key and kind', (_name, id) => {
    const given: unknown[] = [];
    const ids: LockIds = (...args) => {
      given.push(args);
      return id;
    };
    expect(advisoryIdOf(checkLockIds('lockId', ids), 'lock', 'app:a', 'lockId')).toBe(id);
    expect(given).toEqual([['app:a', 'lock']]);
  });

  it.each([2n ** 63n, -(2n ** 63n) - 1n, 7, '7', undefined, null, [1], [1, 2, 3], [1, 2 ** 31], [1.5, 2], ['1', '2']])(
    'refuses %p from a function',
    (id) => {
      const call = (): unknown => advisoryIdOf(() => id as never, 'lock', 'a', 'postgresBackend.lockId');
      expect(call).toThrow(LockKeyError);
      expect(call).toThrow(
        /^option postgresBackend\.lockId must return a bigint of 64 bits or two integers of 32 bits, got .*"a"$/,
      );
    },
  );

  it('an async function is refused, and its rejection handled', () => {
    const handlers: unknown[] = [];
    const id = { then: (...given: unknown[]) => void handlers.push(...given) };
    expect(() => advisoryIdOf(() => id as never, 'lock', 'a', 'lockId')).toThrow(LockKeyError);
    expect(handlers.at(1)).toEqual(expect.any(Function));
  });

  it('a function that throws: an error with the key and the cause', () => {
    const cause = new Error('no table');
    const call = (): unknown =>
      advisoryIdOf(
        () => {
          throw cause;
        },
        'lock',
        'a',
        'postgresBackend.lockId',
      );
    expect(call).toThrow(
      expect.objectContaining({
        name: 'LockKeyError',
        key: 'a',
        cause,
        message: 'option postgresBackend.lockId threw for the key "a"',
      }),
    );
  });
});
