import { describe, expect, it } from '@jest/globals';
import { Schedule } from './schedule.js';

describe('Schedule', () => {
  it('runs jobs side by side, never more than fit, each once', async () => {
    let now = 0;
    let most = 0;
    const ran = new Array<number>(50).fill(0);
    const jobs = ran.map((_, i) => ({
      weight: i % 5 === 0 ? 3 : 1,
      run: async () => {
        now += i % 5 === 0 ? 3 : 1;
        most = Math.max(most, now);
        await new Promise((resolve) => setTimeout(resolve, 2));
        now -= i % 5 === 0 ? 3 : 1;
        ran[i]!++;
      },
    }));
    const schedule = new Schedule(jobs);
    for (const i of jobs.keys()) await schedule.result(i);
    expect(ran).toEqual(new Array(50).fill(1));
    expect(most).toBeGreaterThan(8);
    expect(most).toBeLessThanOrEqual(16);
  });

  it('gives each job its own failure', async () => {
    const schedule = new Schedule([
      { weight: 1, run: async () => {} },
      { weight: 1, run: () => Promise.reject(new Error('second')) },
      { weight: 1, run: async () => {} },
    ]);
    await schedule.result(0);
    await expect(schedule.result(1)).rejects.toThrow('second');
    await schedule.result(2);
  });
});
