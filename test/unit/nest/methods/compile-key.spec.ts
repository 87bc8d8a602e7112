import { describe, expect, it } from '@jest/globals';
import { ConfigError, LockKeyError } from '../../../../lib/common/errors.js';
import { lockKey } from '../../../../lib/locks/options/lock-key.js';
import { compileKey } from '../../../../lib/nest/methods/compile-key.js';

const make = (key: unknown, ...args: unknown[]) => compileKey('@WithLock on A.m', key)({ tenant: 'acme' }, args);

class User {
  id = 7;
  password = 'secret';
}

const thrownBy = (call: () => unknown): unknown => {
  try {
    return call();
  } catch (error) {
    return error;
  }
};

describe('a key template', () => {
  it.each<[template: string, args: unknown[], key: string]>([
    ['nightly', [], 'nightly'],
    ['order:{0}', ['a1'], 'order:a1'],
    ['order:{0.id}', [{ id: 7 }], 'order:7'],
    ['{0}', ['x'], 'x'],
    ['{1}/{0}', ['a', 'b'], 'b/a'],
    ['{0}:{0}', ['a'], 'a:a'],
    ['sku:{0.lines.1.sku}', [{ lines: [{ sku: 1 }, { sku: 22 }] }], 'sku:22'],
    ['{0}-{1}-{2}', [true, 10n, -1.5], 'true-10-%2D1.5'],
    ['order:{0}', ['a:b'], 'order:a%3Ab'],
    ['order/{0}', ['a:b'], 'order/a:b'],
    ['order:{0}', ['100%'], 'order:100%25'],
    ['order:{0}', ['a b\n'], 'order:a%20b%0A'],
    ['ö→{0}', ['→ö'], 'ö→%E2%86%92ö'],
    ['{0}', [0], '0'],
  ])('%j of %j is %j', (template, args, key) => {
    expect(make(template, ...args)).toBe(key);
  });

  it('makes the same key as lockKey', () => {
    for (const id of ['a', 'a:b', '%', 'ü x', '🙂']) expect(make('order:{0}.x', id)).toBe(lockKey`order:${id}.x`);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['an object', {}],
    ['an array', ['a']],
    ['a date', new Date(0)],
    ['a function', () => 'a'],
    ['a symbol', Symbol('a')],
    ['an empty string', ''],
    ['NaN', NaN],
    ['Infinity', Infinity],
  ])('refuses %s as value and names placeholder and method', (_, value) => {
    expect(() => make('order:{0.id}', { id: value })).toThrow(LockKeyError);
    expect(() => make('order:{0.id}', { id: value })).toThrow(/@WithLock on A\.m.*\{0\.id\}/);
  });

  it.each<[string, string, unknown, string]>([
    ['an object of a class', '{0}', new User(), 'got a User; use a property of it, such as {0.id}'],
    ['an object within', '{0.owner}', { owner: new User() }, 'got a User; use a property of it, such as {0.owner.id}'],
    ['a plain object', '{0}', {}, 'got an object; use a property of it, such as {0.id}'],
    ['an array', '{0}', ['a'], 'got an array; use an element of it, such as {0.0}'],
    ['a promise', '{0}', Promise.resolve('a'), 'got a Promise; await it first'],
  ])('says what to write instead of %s', (_, template, value, text) => {
    const error = thrownBy(() => make(`order:${template}`, value)) as LockKeyError;
    expect(error).toBeInstanceOf(LockKeyError);
    expect(error.message).toContain(text);
    expect(error.message).not.toContain('secret');
  });

  it('says what the key function should return instead of an object', () => {
    const error = thrownBy(() => make((user: User) => user, new User())) as Error;
    expect(error.message).toBe(
      '@WithLock on A.m: the key function returned a User, expected a non-empty string, or a list of them' +
        '; use a property of it, such as user.id',
    );
    expect(() => compileKey('@WithLock on A.m', new User())).toThrow('the key is a User, expected a string');
  });

  it.each<[template: string, path: string, argument: unknown]>([
    ['order:{0.a.b.c}', '{0.a.b.c}', { a: null }],
    ['order:{3}', '{3}', 'a'],
    ['order:{0.id}:{0.item}', '{0.item}', { id: 7 }],
    ['order:{0.id}', '{0.id}', undefined],
  ])('refuses %j without a value for %s, and names both', (template, path, argument) => {
    const error = thrownBy(() => make(template, argument));
    expect(error).toBeInstanceOf(LockKeyError);
    expect(error).toMatchObject({
      fromArguments: true,
      message: `@WithLock on A.m: ${path} in the key template "${template}" is undefined: the call has no such argument or property`,
    });
  });

  it.each<[string, string]>([
    ['empty', ''],
    ['a name instead of a number', '{id}'],
    ['an empty placeholder', 'a:{}'],
    ['an empty step', 'a:{0..b}'],
    ['an open brace', 'a:{0'],
    ['a closing brace', 'a:0}'],
    ['nested braces', 'a:{{0}}'],
    ['touching placeholders', 'a:{0}{1}'],
    ['white space', 'my key:{0}'],
    ['a control character', 'a\n{0}'],
  ])('is refused at once: %s', (_, template) => {
    expect(() => compileKey('@WithLock on A.m', template)).toThrow(ConfigError);
    expect(() => compileKey('@WithLock on A.m', template)).toThrow(/@WithLock on A\.m/);
  });
});

describe('a key function', () => {
  it('gets this and the arguments', () => {
    const key = function (this: { tenant: string }, a: string, b: number) {
      return `${this.tenant}:${a}:${b}`;
    };
    expect(make(key, 'x', 2)).toBe('acme:x:2');
  });

  it.each([undefined, null, '', 7, {}])('must return a string, not %p', (result) => {
    expect(() => make(() => result)).toThrow(LockKeyError);
  });

  it('that is async was blamed on the arguments, and its rejection was handled by nobody', () => {
    const key = async () => Promise.reject(new RangeError('mine'));
    // Unhandled, it would end the process.
    expect(() => make(key)).toThrow(ConfigError);
    expect(() => make(key)).toThrow(/the key function returned a promise/);
  });

  it('keeps its own error', () => {
    expect(() =>
      make(() => {
        throw new RangeError('mine');
      }),
    ).toThrow(RangeError);
  });
});

describe('several keys', () => {
  it('are made of a list of templates', () => {
    expect(make(['from:{0}', 'to:{1}', 'all'], 'a:b', 7)).toEqual(['from:a%3Ab', 'to:7', 'all']);
  });

  it('may come from a function', () => {
    expect(make((...ids: string[]) => ids.map((id) => `order:${id}`), 'a', 'b')).toEqual(['order:a', 'order:b']);
  });

  it('are at most 64, and those of a remote user are blamed on the arguments', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => `key-${i}`);
    expect(make((n: number) => many(n), 64)).toHaveLength(64);
    const error = thrownBy(() => make((n: number) => many(n), 1000));
    expect(error).toBeInstanceOf(LockKeyError);
    expect(error).toMatchObject({
      fromArguments: true,
      message: 'a call takes at most 64 keys, got 1000: key-0, key-1, key-2 and 997 more',
    });
    expect(thrownBy(() => compileKey('@WithLock on A.m', many(65)))).toMatchObject({
      code: 'CONFIG',
      message: '@WithLock on A.m: a call takes at most 64 keys, got 65: key-0, key-1, key-2 and 62 more',
    });
  });

  it.each<[unknown, RegExp]>([
    [[], /list of keys is empty/],
    [['a', 7], /a key of the list is 7/],
    [['a', ['b']], /a key of the list is an array/],
    [['a', ''], /key is empty/],
    [['a', 'b:{x}'], /not a path into the arguments/],
  ])('%j are refused at once', (key, message) => {
    expect(() => compileKey('@WithLock on A.m', key)).toThrow(ConfigError);
    expect(() => compileKey('@WithLock on A.m', key)).toThrow(message);
  });

  it.each([[[]], [['a', '']], [['a', undefined]], [[['a']]]])('%j of a function are refused', (result) => {
    expect(() => make(() => result)).toThrow(LockKeyError);
  });

  it.each([undefined, null, 7, {}, Symbol('k')])('%p is no key', (key) => {
    expect(() => compileKey('@WithLock on A.m', key)).toThrow(/the key is/);
  });
});
