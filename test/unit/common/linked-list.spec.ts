import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LinkedList, type Linked } from '../../../lib/common/linked-list.js';

interface Item extends Linked<Item> {
  name: number;
}

const item = (name: number): Item => ({ name, prev: undefined, next: undefined });
const names = (list: LinkedList<Item>): number[] => [...list].map((i) => i.name);

describe('LinkedList', () => {
  it('agrees with an array, whatever is done to it', () => {
    // Of all lengths alike: by default, fast-check makes short ones, of which little comes.
    const some = fc.noBias(fc.array(fc.nat(9), { maxLength: 100, size: 'max' }));
    fc.assert(
      fc.property(some, (toggles) => {
        const list = new LinkedList<Item>();
        const items = Array.from({ length: 10 }, (_, i) => item(i));
        let model: number[] = [];
        for (const name of toggles) {
          if (model.includes(name)) {
            list.remove(items[name]!);
            model = model.filter((n) => n !== name);
            expect([items[name]!.prev, items[name]!.next]).toEqual([undefined, undefined]);
          } else {
            list.push(items[name]!);
            model.push(name);
          }
          expect(names(list)).toEqual(model);
          expect(list.size).toBe(model.length);
          expect(list.head?.name).toBe(model[0]);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('takes elements before others, at its head and at its end', () => {
    const list = new LinkedList<Item>();
    list.insertBefore(undefined, item(4));
    list.insertBefore(list.head, item(1));
    for (const name of [2, 3]) list.insertBefore([...list].at(-1), item(name));
    expect(names(list)).toEqual([1, 2, 3, 4]);
    expect(list.size).toBe(4);
    list.remove(list.head!);
    expect([list.head!.name, list.size]).toEqual([2, 3]);
  });

  it('lets the visited element be removed', () => {
    const list = new LinkedList<Item>();
    for (let i = 0; i < 5; i++) list.push(item(i));
    const seen: number[] = [];
    for (const one of list) {
      seen.push(one.name);
      list.remove(one);
    }
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(list.size).toBe(0);
  });

  it('takes a member back after its removal, at the end', () => {
    const list = new LinkedList<Item>();
    const [a, b] = [item(1), item(2)];
    list.push(a);
    list.push(b);
    list.remove(a);
    list.push(a);
    expect(names(list)).toEqual([2, 1]);
  });
});
