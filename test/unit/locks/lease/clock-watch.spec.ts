import { beforeEach, describe, expect, it } from '@jest/globals';
import { ClockWatch } from '../../../../lib/locks/lease/clock-watch.js';
import { FakeClock } from '../../../support/fake-clock.js';

let clock: FakeClock;
let jumps: number;
let watch: ClockWatch;

beforeEach(() => {
  clock = new FakeClock({ now: 5000, uptime: 90_000 });
  jumps = 0;
  watch = new ClockWatch(clock, () => jumps++);
});

describe('a watch of the clocks', () => {
  it('sees nothing while they run together', () => {
    clock.advance(100_000);
    watch.sample();
    expect(watch.sleptSince(0)).toBe(0);
    expect(jumps).toBe(0);
  });

  it('counts a sleep for what was proven before it, and for nothing else', () => {
    clock.advance(1000);
    clock.uptimeOffset += 60_000;
    expect(watch.sleptSince(6000)).toBe(0);
    watch.sample();
    watch.sample();
    expect(jumps).toBe(1);
    expect(watch.sleptSince(5500)).toBe(60_000);
    expect(watch.sleptSince(6000)).toBe(0);
    clock.advance(1000);
    clock.uptimeOffset += 5000;
    watch.sample();
    expect(watch.sleptSince(5500)).toBe(65_000);
    expect(watch.sleptSince(6500)).toBe(5000);
  });

  it('takes what may come of whole seconds for nothing', () => {
    clock.uptimeOffset += 999;
    watch.sample();
    clock.uptimeOffset -= 1999;
    watch.sample();
    expect([jumps, watch.sleptSince(0)]).toEqual([0, 0]);
    clock.uptimeOffset += 2001;
    watch.sample();
    expect([jumps, watch.sleptSince(0)]).toEqual([1, 1001]);
  });

  it('takes exactly a second for nothing, in either clock', () => {
    clock.uptimeOffset += 1000;
    clock.wallOffset += 1000;
    watch.sample();
    expect([jumps, watch.sleptSince(0)]).toEqual([0, 0]);
  });

  it('counts no bit of up to 50 ms by itself', () => {
    clock.uptimeOffset += 1100;
    watch.sample();
    clock.uptimeOffset += 50;
    watch.sample();
    expect(watch.sleptSince(0)).toBe(1100);
    clock.uptimeOffset += 1;
    watch.sample();
    expect(watch.sleptSince(0)).toBe(1151);
  });

  it('counts on bit by bit once they have parted: a slow clock is behind by all of it', () => {
    clock.uptimeOffset += 1100;
    watch.sample();
    for (let i = 0; i < 9; i++) {
      clock.uptimeOffset += 100;
      watch.sample();
    }
    expect(watch.sleptSince(0)).toBe(2000);
    // The moment at which a whole second is counted is nothing to hurry for.
    expect(jumps).toBe(1);
  });

  it('that finds less uptime than before measures from there', () => {
    clock.uptimeOffset -= 50_000;
    watch.sample();
    expect([jumps, watch.sleptSince(0)]).toEqual([1, 0]);
    clock.uptimeOffset += 3000;
    watch.sample();
    expect(watch.sleptSince(0)).toBe(3000);
  });

  it('takes a wall clock that jumps as a hint, either way, and one that drifts as nothing', () => {
    for (let i = 0; i < 10; i++) {
      clock.wallOffset += 500;
      watch.sample();
    }
    expect(jumps).toBe(0);
    clock.wallOffset += 5000;
    watch.sample();
    clock.wallOffset -= 5000;
    watch.sample();
    expect(jumps).toBe(2);
    expect(watch.sleptSince(0)).toBe(0);
  });

  it('glances at the clocks at most every 10 ms', () => {
    const reads: number[] = [];
    const uptime = clock.uptime.bind(clock);
    clock.uptime = () => {
      reads.push(clock.now() - 5000);
      return uptime();
    };
    for (let i = 0; i < 40; i++) {
      watch.sampleIfStale();
      clock.advance(1);
    }
    expect(reads).toEqual([10, 20, 30]);
  });

  it('remembers few sleeps, and forgets none', () => {
    const noticed: number[] = [];
    for (let i = 0; i < 40; i++) {
      clock.advance(10);
      clock.uptimeOffset += 2000;
      watch.sample();
      noticed.push(clock.now());
    }
    expect(watch.sleptSince(0)).toBe(80_000);
    // What is merged counts as of its latest: never too little.
    expect(watch.sleptSince(noticed[19]!)).toBeGreaterThanOrEqual(20 * 2000);
    expect(watch.sleptSince(noticed[38]!)).toBe(2000);
    expect((watch as unknown as { sleeps: unknown[] }).sleeps).toHaveLength(16);
  });
});
