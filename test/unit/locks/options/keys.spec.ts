import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { LockKeyError } from '../../../../lib/common/errors.js';
import { wireKey as wireKeyOf } from '../../../../lib/locks/options/keys.js';
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
