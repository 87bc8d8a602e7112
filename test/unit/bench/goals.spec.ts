import { describe, expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for a script
import * as goals from '../../../bench/support/goals.mjs';
// @ts-expect-error -- plain JavaScript, for a script
import * as measure from '../../../bench/support/measure.mjs';
// @ts-expect-error -- plain JavaScript, for a script
import { markdown } from '../../../bench/support/report.mjs';

const WAIT = 'p99 wait in ms';
const slice = (count: number, wait?: number): object => ({
  count,
  ms: 1000,
  clientCpuMs: 10,
  measures: wait === undefined ? {} : { [WAIT]: wait },
});

/** Turns of 1 ms and of 2 ms; waits of 30 and of 60 ms. */
const slices = new Map([
  ['paced', [slice(1000), slice(500)]],
  ['locks', [slice(900, 30), slice(450, 60)]],
]);

function table(...goalsOf: object[]): string {
  const contestants = [
    { name: 'paced', unit: 'turns' },
    { name: 'locks', unit: 'turns', goals: goalsOf },
  ];
  const figures = measure.summarize(contestants, slices) as object;
  return markdown({ title: 'a group' }, figures, { rounds: 2, sliceMs: 1000 }) as string;
}

describe('goals', () => {
  it('take a wait as so many turns of the other, in the same round', () => {
    expect(table(goals.measureInTurns(2.5, WAIT, 20, 'paced', 'the first line'))).toContain(
      'p99 wait in ms ≤ 2.5 × 20 turns of the first line: met, 1.50 (1.50–1.50)',
    );
    expect(table(goals.measureInTurns(1.4, WAIT, 20, 'paced'))).toContain('20 turns of paced: missed, 1.50');
    expect(table(goals.measureInTurns(1.4, WAIT, 20, 'somebody who was left out'))).toContain('not measured');
  });

  it('show a figure without judging it', () => {
    expect(table(goals.measured(WAIT))).toContain('| p99 wait in ms: 45.0 (37.5–52.5) |');
  });
});
