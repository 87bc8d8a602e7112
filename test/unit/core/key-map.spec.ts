import { afterEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { KeyMap } from '../../../lib/core/key-map.js';

describe('KeyMap', () => {
  const { set } = Map.prototype;
  afterEach(() => {
    Map.prototype.set = set;
  });

  /** The size of the largest Map that is added to meanwhile. */
  function largestMap(work: () => void): number {
    let largest = 0;
    Map.prototype.set = function (key: unknown, value: unknown) {
      largest = Math.max(largest, this.size + 1);
      return set.call(this, key, value);
    };
    work();
    Map.prototype.set = set;
    return largest;
  }

  it('says what a Map says', () => {
    const key = fc.integer({ min: 0, max: 20_000 });
    const step = fc.oneof(
      fc.record({ add: key, count: fc.integer({ min: 1, max: 9_000 }) }),
      fc.record({ remove: key, count: fc.integer({ min: 1, max: 9_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const model = new Map<string, { n: number }>();
        const map = new KeyMap<{ n: number }>();
        const entries = [];
        for (const step of steps) {
          const [from, adds] = 'add' in step ? [step.add, true] : [step.remove, false];
          for (let n = from; n < from + step.count; n++) {
            const name = `key:${n}:lock`;
            if (!adds) {
              map.delete(name);
              model.delete(name);
            } else if (!model.has(name)) {
              const value = { n };
              map.add(name, value);
              model.set(name, value);
              entries.push(name);
            }
          }
          expect(map.size).toBe(model.size);
        }
        const differing = entries.filter((name) => map.get(name) !== model.get(name));
        expect(differing).toEqual([]);
        expect(map.get('key:none')).toBeUndefined();
        expect(new Set(map.values())).toEqual(new Set(model.values()));
        expect([...map.values()]).toHaveLength(model.size);
      }),
      { numRuns: 10 },
    );
  });

  it.each([
    ['numbered keys', (i: number) => `attack:key:0:${i}`],
    ['numbers inside', (i: number) => `tenant:${i}:invoice:lock`],
    ['hex keys', (i: number) => `${(Math.imul(i, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')}-4f2e`],
  ])('moves few entries when it grows to 200,000 %s', (_, keyOf) => {
    const map = new KeyMap<object>();
    const value = {};
    const largest = largestMap(() => {
      for (let i = 0; i < 200_000; i++) map.add(keyOf(i), value);
    });
    expect(map.size).toBe(200_000);
    expect(largest).toBeLessThanOrEqual(8192);
  });
});
