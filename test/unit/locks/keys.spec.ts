import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { LockKeyError } from '../../../lib/common/errors.js';
import { delimitersOf, encodeKeyValue, lockKey, wireKey } from '../../../lib/locks/keys.js';

const sha = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

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

  it('is the vector that other implementations can check', () => {
    expect(wireKey('app', 'k'.repeat(300))).toBe(
      `app:${'k'.repeat(187)}#${createHash('sha256')
        .update(`app:${'k'.repeat(300)}`)
        .digest('hex')}`,
    );
  });

  it.each([
    ['empty', ''],
    ['a space', 'a b'],
    ['a tab', 'a\tb'],
    ['LF', 'a\n'],
    ['CR', 'a\r'],
    ['NUL', 'a\0'],
    ['DEL', 'a\x7f'],
    ['a C1 control', 'a\u0085'],
    ['a no-break space', 'a\u00a0b'],
    ['an ideographic space', 'a\u3000b'],
    ['half a surrogate pair', 'a\ud800'],
    ['a number', 7],
    ['undefined', undefined],
    ['null', null],
    ['an object', {}],
  ])('refuses %s', (_, key) => {
    expect(() => wireKey('n', key)).toThrow(LockKeyError);
  });
});

describe('lockKey', () => {
  it.each<[string, string]>([
    [lockKey`order:${7}`, 'order:7'],
    [lockKey`order:${7n}:${true}`, 'order:7:true'],
    [lockKey`order:${'a:b'}`, 'order:a%3Ab'],
    [lockKey`order:${'100%'}`, 'order:100%25'],
    [lockKey`order:${'a b\tc'}`, 'order:a%20b%09c'],
    [lockKey`order:${'ü-x'}`, 'order:ü-x'],
    [lockKey`a-${'x-y'}.${'1.5'}`, 'a-x%2Dy.1%2E5'],
    [lockKey`user/${'\u00a0'}`, 'user/%C2%A0'],
    [lockKey`§${'§'}`, '§%C2%A7'],
    [lockKey`n:${-1.5}`, 'n:-1.5'],
  ])('%s', (key, expected) => {
    expect(key).toBe(expected);
  });

  it('never makes the same key of different values', () => {
    expect(lockKey`${'a:b'}:${'c'}`).not.toBe(lockKey`${'a'}:${'b:c'}`);
    expect(lockKey`${'a%3Ab'}:${'c'}`).not.toBe(lockKey`${'a:b'}:${'c'}`);
  });

  it.each([
    ['undefined', () => lockKey`a:${undefined as any}`, 'got undefined'],
    ['null', () => lockKey`a:${null as any}`, 'got null'],
    ['an object', () => lockKey`a:${{} as any}`, 'got object'],
    ['an empty string', () => lockKey`a:${''}`, 'empty string'],
    ['NaN', () => lockKey`a:${NaN}`, 'NaN'],
    ['Infinity', () => lockKey`a:${Infinity}`, 'Infinity'],
    ['half a pair', () => lockKey`a:${'\udc00'}`, 'surrogate'],
    ['values that touch', () => lockKey`a:${1}${2}`, 'touch'],
    ['a literal with a space', () => lockKey`a b:${1}`, 'white space'],
  ])('refuses %s', (_, make, text) => {
    expect(make).toThrow(LockKeyError);
    expect(make).toThrow(text);
  });

  it('names the value that is wrong', () => {
    expect(() => encodeKeyValue(undefined, delimitersOf([':']), 'argument 0.id')).toThrow('argument 0.id of the key');
  });
});
