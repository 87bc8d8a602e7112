import { describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { stopwatch } from './stopwatch.js';

/** As if the machine gave the processor to others. */
const standStill = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

function work(ms: number): void {
  const { user, system } = process.cpuUsage();
  for (let used = 0; used < ms * 1000;) {
    const usage = process.cpuUsage();
    used = usage.user + usage.system - user - system;
  }
}

describe('a stopwatch', () => {
  it('does not count the moments in which the process could not run', async () => {
    const took = stopwatch();
    standStill(300);
    await pause(20);
    standStill(300);
    expect(took()).toBeLessThan(150);
  });

  it('counts what is waited for', async () => {
    let longest = 0;
    // On a busy machine, other processes take their share of most rounds.
    for (let i = 0; i < 60 && longest <= 40; i++) {
      const took = stopwatch();
      await pause(50);
      longest = Math.max(longest, took());
    }
    expect(longest).toBeGreaterThan(40);
  });

  it('counts what the process works', () => {
    const took = stopwatch();
    work(100);
    expect(took()).toBeGreaterThan(85);
  });
});
