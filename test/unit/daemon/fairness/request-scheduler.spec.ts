import { describe, expect, it } from '@jest/globals';
import { systemClock, type Clock, type Ms } from '../../../../lib/common/system.js';
import { RequestScheduler } from '../../../../lib/daemon/fairness/request-scheduler.js';

const nextPoll = (): Promise<void> => new Promise((resolve) => systemClock.afterPoll(resolve));

describe('the request scheduler', () => {
  function scheduled() {
    let time: Ms = 1_000;
    const proceeded: string[] = [];
    const clock: Clock = { ...systemClock, now: () => time };
    let changes = 0;
    const scheduler = new RequestScheduler(
      clock,
      () => proceeded.push('heard'),
      () => changes,
    );
    /** Needs so many slices, each of so many milliseconds. */
    const session = (name: string, slices: number, ms: Ms) => ({
      proceed(now: Ms) {
        expect(now).toBe(time);
        time += ms;
        proceeded.push(name);
        if (--slices > 0) scheduler.add(this);
      },
    });
    /** Whether a session that is heard must stop after so many milliseconds. */
    const stops = (ms: Ms): boolean => {
      const began = time;
      time += ms;
      return scheduler.isOver(began);
    };
    const othersAreHeard = (): void => void (changes += 2);
    return { scheduler, session, proceeded, stops, othersAreHeard };
  }

  it('lets each proceed once in a turn, in the order in which they came', async () => {
    const { scheduler, session, proceeded } = scheduled();
    scheduler.add(session('a', 2, 0.1));
    scheduler.add(session('b', 1, 0.1));
    expect(proceeded).toEqual([]);
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard']);
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard', 'a', 'heard']);
    await nextPoll();
    expect(proceeded).toHaveLength(5);
  });

  it('stops when the turn has lasted for long enough; who is not done goes behind those who have not been', async () => {
    const { scheduler, session, proceeded } = scheduled();
    scheduler.add(session('a', 2, 0.5));
    scheduler.add(session('b', 1, 0.5));
    scheduler.add(session('c', 1, 0.5));
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard']);
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard', 'c', 'a', 'heard']);
  });

  it('gives those who are heard the less, the more are queued', () => {
    const { scheduler, session, stops } = scheduled();
    scheduler.add(session('a', 1, 0));
    scheduler.add(session('b', 1, 0));
    scheduler.add(session('c', 1, 0));
    expect(stops(1.5 / 16 - 0.02)).toBe(false);
    expect(stops(0.03)).toBe(true);
  });

  it('gives a turn to all who are heard together, not to each', async () => {
    const { stops } = scheduled();
    expect(stops(1.4)).toBe(false);
    expect([stops(0.2), stops(0)]).toEqual([true, true]);
    await nextPoll();
    expect([stops(1.4), stops(0.2)]).toEqual([false, true]);
  });

  it('counts the time of a session once, however often it looks', () => {
    const { scheduler, stops } = scheduled();
    const began = 1_000;
    expect([stops(0.7), scheduler.isOver(began), scheduler.isOver(began)]).toEqual([false, false, false]);
    expect([stops(0.7), stops(0.2)]).toEqual([false, true]);
  });

  it('leaves a queued session what it has been given, whatever others have spent', () => {
    const { scheduler, stops } = scheduled();
    stops(5);
    expect([scheduler.isOver(1_005, 0.5), scheduler.isOver(1_004.5, 0.5)]).toEqual([false, true]);
  });

  it('gives less where others are heard too, as long as they are', async () => {
    const { scheduler, session, stops, othersAreHeard, proceeded } = scheduled();
    stops(0.1);
    othersAreHeard();
    await nextPoll();
    expect([stops(0.3), stops(0.2)]).toEqual([false, true]);
    othersAreHeard();
    scheduler.add(session('a', 1, 0.2));
    scheduler.add(session('b', 1, 0.2));
    scheduler.add(session('c', 1, 0.2));
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard']);
    await nextPoll();
    stops(0.1);
    await nextPoll();
    expect(stops(1.4)).toBe(false);
  });
});
