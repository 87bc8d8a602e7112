import { describe, expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for a script
import * as comparison from '../../../bench/support/comparison.mjs';
// @ts-expect-error -- plain JavaScript, for a script
import * as statistics from '../../../bench/support/statistics.mjs';

interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}
interface Judgement {
  readonly verdict: 'within' | 'outside' | 'undecided';
  readonly noise: number;
}
const medianInterval = statistics.medianInterval as (values: number[]) => Interval;
const judge = comparison.judge as (candidate: Interval, control: Interval, bound: number) => Judgement;
interface Slice {
  readonly count: number;
  readonly ms: number;
  readonly clientCpuMs: number;
  readonly serverCpuMs?: number;
}
type Start = Record<'base' | 'candidate' | 'control', Slice[]>;
interface By {
  readonly label: string;
}
const { BY_THE_CLOCK, BY_CPU, BY_SERVER_CPU } = comparison as Record<string, By>;
const compare = comparison.compare as (
  starts: Start[],
  by: By,
  bound: number,
) => Judgement & { base: number; candidate: Interval; control: Interval };
const variedOrder = comparison.variedOrder as <T>(items: T[], round: number) => T[];

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
const around = (median: number, spread: number): Interval => ({ median, low: median - spread, high: median + spread });

describe('medianInterval', () => {
  // The ranks are those of the published tables for the sign test.
  it.each([
    [6, 1, 6],
    [10, 2, 9],
    [20, 6, 15],
    [40, 14, 27],
    [100, 40, 61],
  ])('takes the ranks that hold the median of %i values with at least 95 %%', (n, low, high) => {
    expect(medianInterval(upTo(n).reverse())).toEqual({ median: (n + 1) / 2, low, high });
  });

  it('still adds up for thousands of values', () => {
    const { low, high } = medianInterval(upTo(4000));
    expect(low + high).toBe(4001);
    expect(high - low).toBeGreaterThan(1.96 * Math.sqrt(4000) - 3);
    expect(high - low).toBeLessThan(1.96 * Math.sqrt(4000) + 3);
  });

  it('is not moved by a few slices that the machine has spoilt', () => {
    const spoilt = [...upTo(37).map((i) => 1 + i / 10_000), 0.01, 0.02, 50];
    const { low, high } = medianInterval(spoilt);
    expect(low).toBeGreaterThan(1);
    expect(high).toBeLessThan(1.01);
  });

  it('refuses fewer values than any interval of 95 % needs', () => {
    expect(() => medianInterval(upTo(5))).toThrow('at least 6 values, not 5');
  });
});

describe('judge', () => {
  const quiet = around(1, 0.01);

  it('takes the bound where the control is steadier than that', () => {
    expect(judge(around(0.975, 0.01), quiet, 0.03).verdict).toBe('within');
    expect(judge(around(0.965, 0.01), quiet, 0.03).verdict).toBe('outside');
  });

  it('finds nothing wrong with a candidate that is faster', () => {
    expect(judge(around(1.2, 0.01), quiet, 0.03).verdict).toBe('within');
  });

  it('leaves open what the control says nothing certain about', () => {
    const loud = around(1, 0.05);
    expect(judge(around(1, 0.01), loud, 0.03).verdict).toBe('undecided');
    expect(judge(around(0.96, 0.01), loud, 0.03).verdict).toBe('undecided');
  });

  it('still finds what is slower than all that the control shows', () => {
    expect(judge(around(0.94, 0.01), around(1, 0.05), 0.03).verdict).toBe('outside');
  });

  it('counts a control that is off to either side', () => {
    expect(judge(around(1, 0.01), around(1.04, 0.01), 0.03)).toEqual({
      verdict: 'undecided',
      noise: expect.closeTo(0.05),
    });
    expect(judge(around(1, 0.01), around(0.96, 0.01), 0.03)).toEqual({
      verdict: 'undecided',
      noise: expect.closeTo(0.05),
    });
  });
});

describe('compare', () => {
  const slice = (count: number, ms = 100): Slice => ({ count, ms, clientCpuMs: 60, serverCpuMs: 20 });
  const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
  /** The processes of each start are as fast as they are; slices of one start are alike. */
  const startsOf = (candidate: (start: number) => number, control = (_start: number): number => 1): Start[] =>
    times(12, (start) => ({
      base: times(4, () => slice(1000)),
      candidate: times(4, () => slice(1000 * candidate(start))),
      control: times(4, () => slice(1000 * control(start))),
    }));

  it('finds a candidate that is 5 % slower', () => {
    const found = compare(
      startsOf(() => 0.95),
      BY_THE_CLOCK!,
      0.03,
    );
    expect(found).toMatchObject({ verdict: 'outside', base: 10_000, noise: 0 });
    expect(found.candidate.median).toBeCloseTo(0.95);
  });

  it('pairs the slices of a round, whatever the machine does meanwhile', () => {
    const starts = startsOf(() => 1).map((start, i) => {
      const slowed = (slices: Slice[]): Slice[] =>
        slices.map(({ count }, j) => slice(count, 100 * (1 + ((i + j) % 5))));
      return { base: slowed(start.base), candidate: slowed(start.candidate), control: slowed(start.control) };
    });
    expect(compare(starts, BY_THE_CLOCK!, 0.03)).toMatchObject({ verdict: 'within', noise: 0 });
  });

  it('does not take slices of the same processes for independent ones', () => {
    const { verdict, noise } = compare(
      startsOf(
        () => 1,
        (start) => (start % 3 === 0 ? 1.06 : 1),
      ),
      BY_THE_CLOCK!,
      0.03,
    );
    expect(verdict).toBe('undecided');
    expect(noise).toBeCloseTo(0.06);
  });

  it('counts per CPU time of both sides, or of the server alone', () => {
    const starts = startsOf(() => 1).map((start) => ({
      ...start,
      candidate: start.candidate.map((one) => ({ ...one, serverCpuMs: 40 })),
    }));
    expect(compare(starts, BY_THE_CLOCK!, 0.03).candidate.median).toBe(1);
    expect(compare(starts, BY_CPU!, 0.03).candidate.median).toBeCloseTo(0.8);
    expect(compare(starts, BY_SERVER_CPU!, 0.03).candidate.median).toBeCloseTo(0.5);
  });
});

describe('variedOrder', () => {
  it('has each order of three once in six rounds, those of the warm-up included', () => {
    const orders = [-3, -2, -1, 0, 1, 2].map((round) => variedOrder(['base', 'candidate', 'control'], round).join());
    expect(new Set(orders).size).toBe(6);
  });

  it('leaves its argument as it was', () => {
    const items = [1, 2, 3];
    for (let round = 0; round < 6; round++) variedOrder(items, round);
    expect(items).toEqual([1, 2, 3]);
  });
});
