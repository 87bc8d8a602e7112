import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for a script
import { REMOVALS } from '../../scripts/rules/removals.mjs';
import { MUTATIONS } from '../faults/mutations.js';

interface Replacement {
  readonly file: string;
  readonly from: string;
}

const timesIn = ({ file, from }: Replacement): number => readFileSync(`lib/${file}`, 'utf8').split(from).length - 1;
const name = ({ file, from }: Replacement): string => `${file}: ${from}`;

/** Those scripts take minutes and run seldom: that lib has moved on under them is seen here. */
describe('what is taken out of lib to see a test or the lab notice', () => {
  it.each([
    ['npm run rules', REMOVALS as Replacement[]],
    ['npm run faults -- --mutants', MUTATIONS],
  ])('is there exactly once: %s', (_script, all) => {
    expect(all.filter((one) => timesIn(one) !== 1).map(name)).toEqual([]);
    expect(all.length).toBeGreaterThan(10);
  });
});
