import { beforeEach, describe, expect, it } from '@jest/globals';
import { frugalUptime } from '../../../lib/common/system.js';

let now: number;
let wall: number;
let slept: number;
let reads: number;
let uptime: () => number;

/** Time passes on all clocks. */
const pass = (ms: number) => {
  now += ms;
  wall += ms;
};

beforeEach(() => {
  [now, wall, slept, reads] = [5000, 1_000_000, 0, 0];
  const read = () => (reads++, 90_000 + now + slept);
  uptime = frugalUptime({ read, now: () => now, wall: () => wall });
});

describe('the uptime', () => {
  it('goes on with the monotonic clock between two readings', () => {
    for (let i = 0; i < 100; i++) {
      expect(uptime()).toBe(90_000 + now);
      pass(10);
    }
    expect(reads).toBe(1);
    pass(1);
    expect(uptime()).toBe(90_000 + now);
    expect(reads).toBe(2);
  });

  it('is read again as soon as the wall clock is ahead: the machine has slept', () => {
    uptime();
    slept = 60_000;
    wall += 60_000;
    expect(uptime()).toBe(150_000 + now);
    expect(reads).toBe(2);
    pass(10);
    expect(uptime()).toBe(150_000 + now);
    expect(reads).toBe(2);
  });

  it('counts short sleeps together', () => {
    uptime();
    for (let i = 0; i < 3; i++) {
      slept += 40;
      wall += 40;
      uptime();
    }
    expect(uptime()).toBe(90_000 + now + 120);
  });

  it('is read again within a second, whatever the wall clock says', () => {
    uptime();
    slept = 60_000;
    pass(1001);
    expect(uptime()).toBe(150_000 + now);
  });
});
