import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ExpiryHeap, type Expiring } from '../../../lib/common/expiry-heap.js';

interface Item extends Expiring {
  name: number;
}

const item = (name: number): Item => ({ name, due: NaN, slot: -1 });

describe('ExpiryHeap', () => {
  it('is empty at first', () => {
    const heap = new ExpiryHeap<Item>();
    expect([heap.size, heap.first, heap.firstDue]).toEqual([0, undefined, Infinity]);
  });

  it('moves an element that is in it already', () => {
    const heap = new ExpiryHeap<Item>();
    const [a, b] = [item(1), item(2)];
    heap.set(a, 10);
    heap.set(b, 20);
    heap.set(a, 30);
    expect([heap.size, heap.first, heap.firstDue]).toEqual([2, b, 20]);
    heap.set(a, 5);
    expect([heap.size, heap.first, heap.firstDue]).toEqual([2, a, 5]);
  });

  it('takes an element out once', () => {
    const heap = new ExpiryHeap<Item>();
    const a = item(1);
    heap.set(a, 10);
    heap.remove(a);
    heap.remove(a);
    expect([heap.size, a.slot]).toEqual([0, -1]);
  });

  it('agrees with a sorted list, whatever is done to it', () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('set' as const), name: fc.nat(20), due: fc.nat(50) }),
      fc.record({ do: fc.constant('remove' as const), name: fc.nat(20), due: fc.constant(0) }),
      fc.record({ do: fc.constant('take' as const), name: fc.constant(0), due: fc.constant(0) }),
    );
    // Of all lengths alike: by default, fast-check makes short ones, of which little comes.
    const some = fc.noBias(fc.array(action, { maxLength: 200, size: 'max' }));
    fc.assert(
      fc.property(some, (actions) => {
        const heap = new ExpiryHeap<Item>();
        const items = Array.from({ length: 21 }, (_, i) => item(i));
        const model = new Map<Item, number>();
        for (const a of actions) {
          const one = items[a.name]!;
          if (a.do === 'set') {
            heap.set(one, a.due);
            model.set(one, a.due);
          } else if (a.do === 'remove') {
            heap.remove(one);
            model.delete(one);
          } else if (heap.first) {
            model.delete(heap.first);
            heap.remove(heap.first);
          }
          expect(heap.size).toBe(model.size);
          expect(heap.firstDue).toBe(Math.min(Infinity, ...model.values()));
          if (heap.first) expect(model.get(heap.first)).toBe(heap.firstDue);
          expect(items.filter((i) => i.slot >= 0 !== model.has(i))).toEqual([]);
        }
        expect(drained(heap)).toEqual([...model.values()].sort((x, y) => x - y));
      }),
      { numRuns: 40 },
    );
  });

  it('stays logarithmic: 200,000 elements come out in order', () => {
    const heap = new ExpiryHeap<Item>();
    const items = Array.from({ length: 200_000 }, (_, i) => item(i));
    for (const one of items) heap.set(one, (one.name * 7919) % 200_003);
    for (const one of items) if (one.name % 3 === 0) heap.remove(one);
    for (const one of items) if (one.name % 3 === 1) heap.set(one, one.due + 1000);
    const dues = drained(heap);
    expect(dues).toHaveLength(133_333);
    expect(dues.every((due, i) => i === 0 || dues[i - 1]! <= due)).toBe(true);
  });
});

function drained(heap: ExpiryHeap<Item>): number[] {
  const dues: number[] = [];
  while (heap.first) {
    dues.push(heap.firstDue);
    heap.remove(heap.first);
  }
  return dues;
}
