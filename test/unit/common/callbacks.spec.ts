import { describe, expect, it } from '@jest/globals';
import { Callbacks } from '../../../lib/common/callbacks.js';

describe('callbacks', () => {
  it('are told until they are removed', () => {
    const callbacks = new Callbacks<[number, string]>();
    const told: unknown[] = [];
    const remove = callbacks.add((...args) => told.push(['first', ...args]));
    callbacks.add((...args) => told.push(['second', ...args]));
    callbacks.tell(1, 'a');
    remove();
    remove();
    callbacks.tell(2, 'b');
    callbacks.clear();
    callbacks.tell(3, 'c');
    expect(told).toEqual([
      ['first', 1, 'a'],
      ['second', 1, 'a'],
      ['second', 2, 'b'],
    ]);
  });

  it('may add and remove callbacks: those that are there when it begins are told', () => {
    const callbacks = new Callbacks<[]>();
    const told: string[] = [];
    const remove = callbacks.add(() => {
      told.push('first');
      remove();
      callbacks.add(() => told.push('added'));
    });
    callbacks.add(() => told.push('second'));
    callbacks.tell();
    expect(told).toEqual(['first', 'second']);
    callbacks.tell();
    expect(told).toEqual(['first', 'second', 'second', 'added']);
  });
});
