import { describe, expect, it } from '@jest/globals';
import { TurnShare } from '../../../../lib/daemon/fairness/turn-share.js';
import { FakeClock } from '../../../support/fake-clock.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the share of a turn that belongs to HTTP', () => {
  function share() {
    const clock = new FakeClock();
    const seen = { others: 0 };
    const all = new TurnShare(clock, () => seen.others);
    const done: string[] = [];
    /** Work that takes so long at once, and so long again when its code has returned, as Node's answers do. */
    const work = (name: string, ms: number, laterMs = 0, again = 0) => ({
      proceed(): void {
        done.push(name);
        clock.stall(ms);
        if (laterMs > 0) process.nextTick(() => clock.stall(laterMs));
        if (again > 0) all.wait(work(name, ms, laterMs, again - 1), false);
      },
    });
    /** How much is done in each of the next turns. */
    async function perTurn(turns: number): Promise<number[]> {
      const counts: number[] = [];
      for (let i = 0; i < turns; i++) {
        const before = done.length;
        await nextTurn();
        counts.push(done.length - before);
      }
      return counts;
    }
    return { clock, seen, all, done, work, perTurn };
  }

  it('is 2 ms while no other client is served, and half a millisecond while others are', async () => {
    const { clock, seen, all, work, perTurn } = share();
    for (let i = 0; i < 16; i++) all.wait(work('a', 0.5), false);
    expect(await perTurn(2)).toEqual([4, 4]);
    seen.others++;
    expect(await perTurn(2)).toEqual([1, 1]);
    clock.stall(50);
    expect(await perTurn(1)).toEqual([4]);
  });

  it('counts what Node does for the work after its code has returned', async () => {
    const { seen, all, work, perTurn } = share();
    for (let i = 0; i < 6; i++) all.wait(work('a', 0.05, 1), false);
    seen.others++;
    // A part goes on until its own code has lasted 0.15 ms.
    expect(await perTurn(2)).toEqual([3, 3]);
  });

  it('counts what is done at once', async () => {
    const { clock, seen, all } = share();
    seen.others++;
    all.do(() => undefined);
    await nextTurn();
    expect(all.isFree).toBe(true);
    all.do(() => all.do(() => clock.stall(0.3)));
    expect(all.isFree).toBe(true);
    all.do(() => clock.stall(0.3));
    expect(all.isFree).toBe(false);
    await nextTurn();
    expect(all.isFree).toBe(true);
  });

  it('goes to light and heavy work in turn, each first come, first served', async () => {
    const { all, done, work } = share();
    for (const name of ['h1', 'h2', 'h3', 'h4']) all.wait(work(name, 0.5), false);
    for (const name of ['l1', 'l2']) all.wait(work(name, 0.5), true);
    while (done.length < 6) await nextTurn();
    expect(done).toEqual(['h1', 'l1', 'h2', 'l2', 'h3', 'h4']);
  });

  it('lets work that arrives wait behind what waits', async () => {
    const { all, done, work } = share();
    all.wait(work('a', 0.01), false);
    expect(all.isFree).toBe(false);
    await nextTurn();
    expect([all.isFree, done]).toEqual([true, ['a']]);
  });

  it('does work that waits again once in each part, so that nobody is kept waiting', async () => {
    const { all, done, work } = share();
    all.wait(work('again', 0, 0, 3), false);
    all.wait(work('b', 0), false);
    await nextTurn();
    expect(done.slice(0, 2)).toEqual(['again', 'b']);
    expect(done).toHaveLength(5);
  });

  it('is over for work inside of work, too', async () => {
    const { clock, seen, all } = share();
    seen.others++;
    all.do(() => undefined);
    await nextTurn();
    const free: boolean[] = [];
    all.do(() => {
      for (let i = 0; i < 4; i++) {
        free.push(all.isFree);
        all.do(() => clock.stall(0.2));
      }
    });
    expect(free).toEqual([true, true, true, false]);
  });

  it('does something for each of many in portions, and for few at once', async () => {
    const { clock, all } = share();
    const done: number[] = [];
    const count = (n: number): void => {
      clock.stall(0.1);
      done.push(n);
    };
    const numbers = (most: number): number[] => Array.from({ length: most }, (_, i) => i);
    all.each(numbers(3), count);
    expect(done).toEqual([0, 1, 2]);
    await nextTurn();
    done.length = 0;
    all.each(numbers(100), count);
    expect(done).toEqual([]);
    await nextTurn();
    expect(done.length).toBeLessThan(40);
    while (done.length < 100) await nextTurn();
    expect(done).toEqual(numbers(100));
  });

  it('goes on after work that throws', async () => {
    const { all, done, work } = share();
    expect(() =>
      all.do(() => {
        throw new Error('one');
      }),
    ).toThrow('one');
    all.wait(work('a', 0.01), false);
    await nextTurn();
    expect([all.isFree, done]).toEqual([true, ['a']]);
  });
});
