import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../../lib/common/system.js';
import { TurnLimiter } from '../../../../lib/daemon/fairness/turn-limiter.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a turn limiter', () => {
  function portions(perTurn: number) {
    const done: number[] = [];
    const all = new TurnLimiter(systemClock, perTurn);
    const ask = (...numbers: number[]): void => numbers.forEach((n) => all.do(() => void done.push(n)));
    return { all, done, ask };
  }

  it('does at once what fits into a turn', () => {
    const { done, ask } = portions(3);
    ask(1, 2, 3);
    expect(done).toEqual([1, 2, 3]);
  });

  it('does the rest in later turns, first come first served', async () => {
    const { done, ask } = portions(2);
    ask(1, 2, 3, 4, 5);
    expect(done).toEqual([1, 2]);
    await nextTurn();
    expect(done).toEqual([1, 2, 3, 4]);
    // Nobody overtakes who waits, although there is room in this turn.
    ask(6, 7);
    expect(done).toEqual([1, 2, 3, 4]);
    await nextTurn();
    expect(done).toEqual([1, 2, 3, 4, 5, 6]);
    await nextTurn();
    expect(done).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('counts anew in each turn', async () => {
    const { done, ask } = portions(2);
    ask(1, 2);
    await nextTurn();
    ask(3, 4);
    expect(done).toEqual([1, 2, 3, 4]);
    ask(5);
    expect(done).toHaveLength(4);
    await nextTurn();
    expect(done).toHaveLength(5);
  });

  it('counts what was left over from the turn before', async () => {
    const { done, ask } = portions(2);
    ask(1, 2, 3);
    await nextTurn();
    ask(4, 5);
    expect(done).toEqual([1, 2, 3, 4]);
    await nextTurn();
    expect(done).toEqual([1, 2, 3, 4, 5]);
  });

  it('takes what work asks for', async () => {
    const { all, done, ask } = portions(1);
    all.do(() => ask(1));
    await nextTurn();
    expect(done).toEqual([1]);
  });
});
