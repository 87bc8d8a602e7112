import { beforeEach, describe, expect, it } from '@jest/globals';
import { type HolderSet, ManyHolders, OneHolder } from '../../../lib/core/holders.js';
import { Hold, Resource } from '../../../lib/core/resource.js';
import { Session } from '../../../lib/core/session.js';

const session = new Session(1, { reply: () => undefined, push: () => true, evict: () => undefined }, 'peer');
const resource = new Resource('sem', 'k', 2);
const hold = (token: string, due: number): Hold => new Hold(resource, session, token, due);

describe.each([
  ['one', OneHolder],
  ['many', ManyHolders],
])('holders: %s', (_, Holders) => {
  let holders: HolderSet;

  beforeEach(() => void (holders = new Holders()));

  it('are none at first', () => {
    expect([...holders]).toStrictEqual([]);
    expect([holders.size, holders.nextDue, holders.hasLapsed]).toEqual([0, Infinity, false]);
    expect(holders.lapsed(10)).toEqual([]);
    expect(holders.get('t')).toBeUndefined();
    holders.lapse(1e9, 10);
    expect(holders.lapsed(10)).toEqual([]);
  });

  it('are found by their tokens alone', () => {
    const held = hold('t', 100);
    holders.add(held);
    expect([holders.size, holders.nextDue]).toEqual([1, 100]);
    expect(holders.get('t')).toBe(held);
    expect(holders.get('u')).toBeUndefined();
    expect([...holders]).toEqual([held]);
  });

  it('lapse at the end of their leases, and stay until they are taken away', () => {
    const held = hold('t', 100);
    holders.add(held);
    holders.extend(held, 200);
    holders.lapse(199, 10);
    expect([holders.hasLapsed, held.lapsed, holders.lapsed(10)]).toEqual([false, false, []]);
    holders.lapse(200, 10);
    expect([holders.hasLapsed, held.lapsed, holders.nextDue, holders.size]).toEqual([true, true, Infinity, 1]);
    expect(holders.lapsed(10)).toEqual([held]);
    holders.remove(held);
    expect([holders.hasLapsed, holders.size, [...holders]]).toStrictEqual([false, 0, []]);
  });
});

describe('many holders', () => {
  it('lapse, and are told, so many at a time', () => {
    const holders = new ManyHolders();
    const all = Array.from({ length: 10 }, (_, i) => hold(`${i}`, 100 + i));
    for (const one of all) holders.add(one);
    expect([holders.lapse(200, 4), holders.lapse(105, 4), holders.lapse(200, 100)]).toEqual([4, 2, 4]);
    expect(holders.lapsed(3)).toHaveLength(3);
    for (let left = 10; left > 0; left -= 2) for (const one of holders.lapsed(2)) holders.remove(one);
    expect([holders.hasLapsed, holders.size]).toEqual([false, 0]);
  });

  it('lapse each at its own time', () => {
    const holders = new ManyHolders();
    const [a, b, c] = [hold('a', 300), hold('b', 100), hold('c', 200)];
    for (const one of [a, b, c]) holders.add(one);
    expect(holders.nextDue).toBe(100);
    holders.lapse(200, 10);
    expect(holders.lapsed(10)).toEqual([b, c]);
    expect(holders.nextDue).toBe(300);
    holders.remove(b);
    expect(holders.lapsed(10)).toEqual([c]);
    expect([...holders]).toEqual([a, c]);
  });
});

describe('a lock', () => {
  it('costs no map and no heap, whatever it is called', () => {
    expect(new Resource('lock', 'k', 1).holders).toBeInstanceOf(OneHolder);
    expect(new Resource('sem', 'k', 1).holders).toBeInstanceOf(OneHolder);
    expect(new Resource('sem', 'k', 2).holders).toBeInstanceOf(ManyHolders);
  });
});
