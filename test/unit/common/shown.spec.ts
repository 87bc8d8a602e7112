import { describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import * as errors from '../../../lib/common/errors.js';
import { shown, shownList } from '../../../lib/common/shown.js';

const HUGE = 'k'.repeat(1_000_000);

describe('a key in a message', () => {
  it('is the key, if it has a length that keys have', () => {
    expect(shown('order:7')).toBe('order:7');
    expect(shown('ü'.repeat(128))).toBe('ü'.repeat(128));
  });

  it('is cut at a character, and says how long it was', () => {
    expect(shown('x'.repeat(129))).toBe(`${'x'.repeat(128)}… (129 characters)`);
    expect(shown(`${'x'.repeat(127)}🔒${'x'.repeat(9)}`)).toBe(`${'x'.repeat(127)}… (138 characters)`);
  });

  it('cannot begin a line of its own, nor end its quotes', () => {
    expect(shown('a\nb"c\u001b[2J')).toBe('a\\nb\\"c\\u001b[2J');
  });

  it('says what it is, if it is no key', () => {
    expect([undefined, null, 7, ['a'], { constructor: { name: HUGE } }, Symbol('s')].map(shown)).toEqual([
      'undefined',
      'null',
      '7',
      'an array',
      'an object',
      'Symbol(s)',
    ]);
  });

  it('is one of a few, where there are many', () => {
    expect(shownList(['a'])).toBe('a');
    expect(shownList(['a', 'b', 'c'])).toBe('a, b, c');
    expect(shownList(Array.from({ length: 1000 }, (_, i) => `k${i}`))).toBe('k0, k1, k2 and 997 more');
  });
});

describe('an error about a key of a megabyte', () => {
  const made: Record<string, errors.LockError> = {
    AcquireTimeoutError: new errors.AcquireTimeoutError(HUGE),
    LockLostError: new errors.LockLostError(HUGE, 'expired'),
    NestedLockError: new errors.NestedLockError(HUGE),
    MaxLocksError: new errors.MaxLocksError({ key: HUGE }),
  };

  it.each(Object.entries(made))('%s knows it whole and tells little of it', (_, error) => {
    expect(error.key).toBe(HUGE);
    expect(error.message.length).toBeLessThan(600);
    expect(inspect(error).length).toBeLessThan(5000);
    expect(JSON.stringify(error).length).toBeLessThan(500);
  });

  it('is told as before where the key is short', () => {
    const error = new errors.AcquireTimeoutError('order:7');
    expect(error.message).toBe('could not acquire "order:7" in time');
    expect(inspect(error)).toContain("key: 'order:7'");
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ key: 'order:7' });
  });
});
