import { describe, expect, it } from '@jest/globals';
import { systemClock, type Clock, type Ms } from '../../../lib/common/system.js';
import { Continuations } from '../../../lib/daemon/continuations.js';

const nextPoll = (): Promise<void> => new Promise((resolve) => systemClock.afterPoll(resolve));

describe('Continuations', () => {
  function inLine() {
    let time: Ms = 1_000;
    const proceeded: string[] = [];
    const clock: Clock = { ...systemClock, now: () => time };
    const line = new Continuations(clock, () => proceeded.push('heard'));
    /** Needs so many slices, each of so many milliseconds. */
    const session = (name: string, slices: number, ms: Ms) => ({
      proceed(now: Ms) {
        expect(now).toBe(time);
        time += ms;
        proceeded.push(name);
        if (--slices > 0) line.add(this);
      },
    });
    return { line, session, proceeded };
  }

  it('lets each proceed once in a turn, in the order in which they came', async () => {
    const { line, session, proceeded } = inLine();
    line.add(session('a', 2, 0.1));
    line.add(session('b', 1, 0.1));
    expect(proceeded).toEqual([]);
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard']);
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard', 'a', 'heard']);
    await nextPoll();
    expect(proceeded).toHaveLength(5);
  });

  it('stops when the turn has lasted for long enough; who is not done goes behind those who have not been', async () => {
    const { line, session, proceeded } = inLine();
    line.add(session('a', 2, 0.5));
    line.add(session('b', 1, 0.5));
    line.add(session('c', 1, 0.5));
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard']);
    await nextPoll();
    expect(proceeded).toEqual(['a', 'b', 'heard', 'c', 'a', 'heard']);
  });

  it('gives those who are heard the less, the more are in line', () => {
    const { line, session } = inLine();
    expect(line.sliceMs).toBe(1.5);
    line.add(session('a', 1, 0));
    line.add(session('b', 1, 0));
    line.add(session('c', 1, 0));
    expect(line.sliceMs).toBe(1.5 / 16);
  });
});
