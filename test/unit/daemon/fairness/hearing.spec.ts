import { describe, expect, it } from '@jest/globals';
import { Hearing } from '../../../../lib/daemon/fairness/hearing.js';
import { FakeClock } from '../../../support/fake-clock.js';

describe('the time at which everything that has arrived is executed', () => {
  /** Work whose turn comes when it is told to. */
  function scene() {
    const clock = new FakeClock();
    const seen = { polls: 0, heard: 0 };
    const afterPoll = clock.afterPoll.bind(clock);
    clock.afterPoll = (fn) => {
      seen.polls++;
      afterPoll(fn);
    };
    const waiting: (() => void)[] = [];
    const work = { isEmpty: true, afterAll: (done: () => void) => void waiting.push(done) };
    const turn = (): void => {
      for (const done of waiting.splice(0)) done();
      clock.advance(0);
    };
    const hearing = new Hearing(clock, work);
    const hear = (): void => hearing.whenHeard(() => seen.heard++);
    return { clock, seen, work, turn, hear };
  }

  it('is after a second poll, which reads from connections that the first has accepted', () => {
    const { clock, seen, hear } = scene();
    hear();
    expect(seen).toEqual({ polls: 1, heard: 0 });
    clock.advance(0);
    expect(seen).toEqual({ polls: 2, heard: 1 });
  });

  it('is not before what waits has had its turns, and what the polls found meanwhile', () => {
    const { clock, seen, work, turn, hear } = scene();
    work.isEmpty = false;
    hear();
    clock.advance(0);
    for (let i = 0; i < 5; i++) turn();
    expect(seen).toEqual({ polls: 6, heard: 0 });
    work.isEmpty = true;
    turn();
    expect(seen).toEqual({ polls: 8, heard: 1 });
  });

  it('is awaited once by all who ask in one turn, and anew by those who ask later', async () => {
    const { clock, seen, hear } = scene();
    for (let i = 0; i < 3; i++) hear();
    expect(seen.polls).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    hear();
    expect(seen.polls).toBe(2);
    clock.advance(0);
    expect(seen).toEqual({ polls: 4, heard: 4 });
    hear();
    clock.advance(0);
    expect(seen).toEqual({ polls: 6, heard: 5 });
  });

  it('is a tenth of a second later at the latest, however much more comes', () => {
    const { clock, seen, work, turn, hear } = scene();
    work.isEmpty = false;
    hear();
    clock.advance(0);
    clock.advance(99);
    turn();
    expect(seen.heard).toBe(0);
    clock.advance(1);
    turn();
    expect(seen.heard).toBe(1);
    for (let i = 0; i < 3; i++) turn();
    expect(seen.heard).toBe(1);
  });
});
