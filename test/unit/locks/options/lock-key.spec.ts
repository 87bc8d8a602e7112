import { describe, expect, it } from '@jest/globals';
import { LockKeyError } from '../../../../lib/common/errors.js';
import { delimitersOf, encodeKeyValue, lockKey } from '../../../../lib/locks/options/lock-key.js';

class Order {}

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
