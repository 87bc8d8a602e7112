import { describe, expect, it } from '@jest/globals';
import { FakeClock, FakeEntropy } from './fake-clock.js';

describe('FakeClock', () => {
  it('runs timers in the order of their times, each at its own time', () => {
    const clock = new FakeClock({ now: 100 });
    const ran: [string, number][] = [];
    clock.setTimer(() => ran.push(['late', clock.now()]), 20);
    clock.setTimer(() => ran.push(['early', clock.now()]), 5.5);
    clock.setTimer(() => ran.push(['early too', clock.now()]), 5.5);
    clock.setTimer(() => ran.push(['never', clock.now()]), 20.1);
    clock.advance(20);
    expect(ran).toEqual([
      ['early', 105.5],
      ['early too', 105.5],
      ['late', 120],
    ]);
    expect(clock.now()).toBe(120);
    expect(clock.pendingTimers).toBe(1);
  });

  it('runs what timers set, if it is due', () => {
    const clock = new FakeClock();
    const ran: number[] = [];
    const again = (): void => {
      ran.push(clock.now());
      clock.setTimer(again, 10);
    };
    clock.setTimer(again, 10);
    clock.advance(35);
    expect(ran).toEqual([10, 20, 30]);
    expect(clock.nextDue).toBe(40);
  });

  it('forgets a cleared timer, also one of the same time', () => {
    const clock = new FakeClock();
    const ran: string[] = [];
    clock.setTimer(() => clock.clearTimer(second), 10);
    const second = clock.setTimer(() => ran.push('second'), 10);
    clock.advance(100);
    expect(ran).toEqual([]);
  });

  it('runs afterPoll after the timers of a step and before those of the next', () => {
    const clock = new FakeClock();
    const ran: string[] = [];
    clock.setTimer(() => {
      ran.push('timer');
      clock.afterPoll(() => ran.push(`poll at ${clock.now()}`));
    }, 10);
    clock.setTimer(() => ran.push('same time'), 10);
    clock.setTimer(() => ran.push('later'), 11);
    clock.advance(11);
    expect(ran).toEqual(['timer', 'same time', 'poll at 10', 'later']);
  });

  it('runs afterPoll without letting time pass', () => {
    const clock = new FakeClock();
    let polled = 0;
    clock.afterPoll(() => {
      polled++;
      clock.afterPoll(() => polled++);
    });
    clock.advance(0);
    expect(polled).toBe(2);
  });

  it('runs overdue timers late after a stall', () => {
    const clock = new FakeClock();
    const ran: number[] = [];
    clock.setTimer(() => ran.push(clock.now()), 10);
    clock.stall(500);
    expect(ran).toEqual([]);
    clock.advance(0);
    expect(ran).toEqual([500]);
  });

  it('lets promises settle between steps', async () => {
    const clock = new FakeClock();
    const ran: number[] = [];
    const pause = (ms: number) => new Promise<void>((resolve) => clock.setTimer(resolve, ms));
    const work = (async () => {
      await pause(10);
      ran.push(clock.now());
      await pause(10);
      ran.push(clock.now());
    })();
    await clock.advanceAsync(20);
    await work;
    expect(ran).toEqual([10, 20]);
  });

  it('has a wall clock and an uptime that move with it, or apart from it', () => {
    const clock = new FakeClock({ now: 1000, wall: 5_000_000, uptime: 70_000 });
    clock.advance(10);
    expect([clock.wall(), clock.uptime()]).toEqual([5_000_010, 70_010]);
    clock.wallOffset -= 3600_000;
    clock.uptimeOffset += 60_000;
    expect([clock.now(), clock.wall(), clock.uptime()]).toEqual([1010, 1_400_010, 130_010]);
  });

  it('notices a timer that is set for now again and again', async () => {
    const clock = new FakeClock({ now: 7 });
    const again = (): void => void clock.setTimer(again, 0);
    again();
    expect(() => clock.advance(5)).toThrow('time stands still at 7');
    await expect(clock.advanceAsync(5)).rejects.toThrow('time stands still at 7');
  });
});

describe('FakeEntropy', () => {
  it('repeats itself for a seed and differs between seeds', () => {
    const bytes = (seed: number): string => {
      const b = Buffer.alloc(16);
      new FakeEntropy(seed).fill(b);
      return b.toString('hex');
    };
    expect(bytes(7)).toBe(bytes(7));
    expect(bytes(7)).not.toBe(bytes(8));
  });

  it('stays in [0, 1)', () => {
    const entropy = new FakeEntropy();
    const units = Array.from({ length: 1000 }, () => entropy.unit());
    expect(Math.min(...units)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...units)).toBeLessThan(1);
    expect(new Set(units).size).toBeGreaterThan(990);
  });
});
