import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { LockKeyError } from '../../../../lib/common/errors.js';
import { delimitersOf, encodeKeyValue, lockKey, wireKey as wireKeyOf } from '../../../../lib/locks/options/keys.js';
import { defaultsOf } from '../support/defaults.js';
import { orderedKeys } from '../../../../lib/locks/acquire/key-order.js';

/** With dflockd's limit. */
const wireKey = (namespace: string | undefined, key: unknown, maxBytes = 256): string =>
  wireKeyOf(namespace, key, maxBytes);
const plain = defaultsOf();

function thrownBy(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

const sha = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

class User {
  id = 7;
}
class Order {}

describe('the keys of a call', () => {
  const many = (count: number, key = 'k') => Array.from({ length: count }, (_, i) => `${key}${i}`);

  it('are at most 64', () => {
    expect(orderedKeys(many(64), plain).wires).toHaveLength(64);
    expect(thrownBy(() => orderedKeys(many(65), plain))).toMatchObject({
      code: 'KEY',
      message: 'a call takes at most 64 keys, got 65: k0, k1, k2 and 62 more',
    });
    expect((thrownBy(() => orderedKeys(many(65, 'x'.repeat(1e6)), plain)) as Error).message.length).toBeLessThan(600);
  });
});

describe('a key of a megabyte with a space', () => {
  it('makes a short message', () => {
    const error = thrownBy(() => wireKey(undefined, `a ${'x'.repeat(1e6)}`)) as Error;
    expect(error).toBeInstanceOf(LockKeyError);
    expect(error.message.length).toBeLessThan(250);
  });
});

describe('wireKey', () => {
  it('puts the namespace and a colon before the key', () => {
    expect(wireKey(undefined, 'order:1')).toBe('order:1');
    expect(wireKey('shop', 'order:1')).toBe('shop:order:1');
  });

  it('leaves keys of up to 256 bytes as they are', () => {
    expect(wireKey(undefined, 'x'.repeat(256))).toBe('x'.repeat(256));
    expect(wireKey(undefined, 'ü'.repeat(128))).toBe('ü'.repeat(128));
    expect(wireKey('n', 'x'.repeat(254))).toHaveLength(256);
  });

  it.each([
    ['ASCII', undefined, 'x'.repeat(257), 'x'.repeat(191)],
    ['with a namespace', 'n', 'x'.repeat(255), `n:${'x'.repeat(189)}`],
    ['cut before a character of two bytes', undefined, `x${'ü'.repeat(128)}`, `x${'ü'.repeat(95)}`],
    ['cut before a character of two bytes, odd', undefined, 'ü'.repeat(129), 'ü'.repeat(95)],
    ['cut before a character of four bytes', undefined, '🔒'.repeat(65), '🔒'.repeat(47)],
  ])('cuts longer ones at a character and adds the hash of the whole: %s', (_, namespace, key, head) => {
    const wire = wireKey(namespace, key);
    const whole = namespace ? `${namespace}:${key}` : key;
    expect(wire).toBe(`${head}#${sha(whole)}`);
    expect(Buffer.byteLength(wire)).toBeLessThanOrEqual(256);
  });

  it('leaves keys alone as far as a backend takes them, and cuts where it does not', () => {
    for (const maxBytes of [65, 66, 100, 256, 1024]) {
      expect(wireKey('n', 'x'.repeat(maxBytes - 2), maxBytes)).toBe(`n:${'x'.repeat(maxBytes - 2)}`);
      const long = 'x'.repeat(maxBytes + 1);
      expect(wireKey(undefined, long, maxBytes)).toBe(`${'x'.repeat(maxBytes - 65)}#${sha(long)}`);
    }
    expect(wireKey(undefined, 'x'.repeat(1e6), Infinity)).toHaveLength(1e6);
  });

  it('is the vector that other implementations can check', () => {
    expect(wireKey('app', 'k'.repeat(300))).toBe(
      `app:${'k'.repeat(187)}#${createHash('sha256')
        .update(`app:${'k'.repeat(300)}`)
        .digest('hex')}`,
    );
  });

  it.each<[string, unknown, string, string | undefined]>([
    ['empty', '', 'must not be empty', ''],
    ['a space', 'a b', 'the key "a b" has white space', 'a b'],
    ['a tab', 'a\tb', 'the key "a\\tb" has white space', 'a\tb'],
    ['LF', 'a\n', 'white space', 'a\n'],
    ['CR', 'a\r', 'white space', 'a\r'],
    ['NUL', 'a\0', 'control character', 'a\0'],
    ['DEL', 'a\x7f', 'control character', 'a\x7f'],
    ['DEL alone', '\x7f', 'control character', '\x7f'],
    ['a space alone', ' ', 'white space', ' '],
    ['a C1 control', 'a\u0085', 'control character', 'a\u0085'],
    ['a no-break space', 'a\u00a0b', 'white space', 'a\u00a0b'],
    ['an ideographic space', 'a\u3000b', 'white space', 'a\u3000b'],
    ['half a surrogate pair', 'a\ud800', 'the key "a\\ud800" has a lone surrogate', 'a\ud800'],
    ['a number', 7, 'must be a string, got number', undefined],
    ['undefined', undefined, 'got undefined', undefined],
    ['null', null, 'got null', undefined],
    ['an object', {}, 'got an object; use a property of it, such as object.id', undefined],
    ['an object of a class', new User(), 'got a User; use a property of it, such as user.id', undefined],
    ['an object of a class in capitals', new URL('a:b'), 'such as url.id', undefined],
    [
      'text made of an object',
      'user:[object Object]',
      'was made from an object; use a property',
      'user:[object Object]',
    ],
    ['text made of a promise', '[object Promise]:a', 'from a promise; await it', '[object Promise]:a'],
    ['a list in a list', ['a'], 'got an array; use an element of it, such as list[0]', undefined],
    ['a promise', Promise.resolve('k'), 'got a Promise; await it first', undefined],
  ])('refuses %s, and names it', (_, key, text, named) => {
    const error = thrownBy(() => wireKey('n', key)) as LockKeyError;
    expect(error).toBeInstanceOf(LockKeyError);
    expect(error.message).toContain(text);
    expect(error.key).toBe(named);
  });
});

describe('lockKey', () => {
  it('encodes what would be taken for something else', () => {
    expect(lockKey`order:${7}`).toBe('order:7');
    expect(lockKey`order:${7n}:${true}`).toBe('order:7:true');
    expect(lockKey`order:${'a:b'}`).toBe('order:a%3Ab');
    expect(lockKey`order:${'100%'}`).toBe('order:100%25');
    expect(lockKey`order:${'a b\tc'}`).toBe('order:a%20b%09c');
    expect(lockKey`order:${'ü-x'}`).toBe('order:ü-x');
    expect(lockKey`a-${'x-y'}.${'1.5'}`).toBe('a-x%2Dy.1%2E5');
    expect(lockKey`user/${'\u00a0'}`).toBe('user/%C2%A0');
    expect(lockKey`§${'§'}`).toBe('§%C2%A7');
    expect(lockKey`n:${-1.5}`).toBe('n:-1.5');
  });

  it('never makes the same key of different values', () => {
    expect(lockKey`${'a:b'}:${'c'}`).not.toBe(lockKey`${'a'}:${'b:c'}`);
    expect(lockKey`${'a%3Ab'}:${'c'}`).not.toBe(lockKey`${'a:b'}:${'c'}`);
  });

  it.each([
    ['undefined', () => lockKey`a:${undefined as any}`, 'got undefined'],
    ['null', () => lockKey`a:${null as any}`, 'got null'],
    ['an object', () => lockKey`a:${{} as any}`, 'got an object; use a property of it, such as object.id'],
    [
      'an object of a class',
      () => lockKey`a:${new Order() as any}`,
      'got an Order; use a property of it, such as order.id',
    ],
    ['an array', () => lockKey`a:${[1] as any}`, 'got an array; use an element of it, such as list[0]'],
    ['a promise', () => lockKey`a:${Promise.resolve(1) as any}`, 'got a Promise; await it first'],
    ['a function', () => lockKey`a:${(() => 1) as any}`, 'got a function'],
    ['what calls itself something', () => lockKey`a:${{ constructor: { name: 'Evil' } } as any}`, 'got an object;'],
    ['an empty string', () => lockKey`a:${''}`, 'empty string'],
    ['NaN', () => lockKey`a:${NaN}`, 'NaN'],
    ['Infinity', () => lockKey`a:${Infinity}`, 'Infinity'],
    ['half a pair', () => lockKey`a:${'\udc00'}`, 'surrogate'],
    ['values that touch', () => lockKey`a:${1}${2}`, 'values 1 and 2 of the key touch'],
    ['the second value', () => lockKey`a:${1}:${''}`, 'value 2 of the key is an empty string'],
    ['a literal with a space', () => lockKey`a b:${1}`, 'white space'],
  ])('refuses %s', (_, make, text) => {
    expect(make).toThrow(LockKeyError);
    expect(make).toThrow(text);
  });

  it('names the value that is wrong', () => {
    expect(() => encodeKeyValue(undefined, delimitersOf([':']), 'argument 0.id')).toThrow('argument 0.id of the key');
    expect(() => encodeKeyValue('\ud800', delimitersOf([':']), 'argument 1')).toThrow(
      'argument 1 of the key has a lone surrogate',
    );
  });
});
