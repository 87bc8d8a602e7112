import { describe, expect, it } from '@jest/globals';
import { type Entry, Ledger } from '../../../../lib/daemon/lockd/ledger.js';

interface Named extends Entry<Named> {
  readonly key: string;
}

const named = (key: string): Named => ({ key, serial: 0, prev: undefined, next: undefined });

describe('a walk through a ledger', () => {
  function ledgerOf(...keys: string[]) {
    const ledger = new Ledger<Named>();
    for (const key of keys) ledger.add(named(key));
    const remove = (key: string): void => ledger.delete(ledger.get(key)!);
    const rest = (walk: Iterable<Named>): string => [...walk].map(({ key }) => key).join('');
    return { ledger, remove, rest };
  }

  it('is in the order in which names were taken', () => {
    const { ledger, remove, rest } = ledgerOf('a', 'b', 'c');
    remove('a');
    ledger.add(named('a'));
    expect(rest(ledger.walk())).toBe('bca');
    expect(ledger.size).toBe(3);
  });

  it('goes on when what it has yielded, what comes next and what is last are deleted', () => {
    const { ledger, remove, rest } = ledgerOf('a', 'b', 'c', 'd', 'e');
    const walk = ledger.walk();
    expect(walk.next().value?.key).toBe('a');
    for (const key of ['a', 'b', 'c', 'e']) remove(key);
    expect(rest(walk)).toBe('d');
  });

  it('ends, although names are taken again and again', () => {
    const { ledger, remove, rest } = ledgerOf('a', 'b', 'c');
    const walk = ledger.walk();
    walk.next();
    remove('b');
    ledger.add(named('b'));
    ledger.add(named('d'));
    expect(rest(walk)).toBe('c');
    expect(rest(ledger.walk())).toBe('acbd');
  });

  it('may be given up', () => {
    const { ledger, remove, rest } = ledgerOf('a', 'b');
    const walk = ledger.walk();
    walk.next();
    walk.return();
    remove('b');
    expect(rest(walk)).toBe('');
  });
});
