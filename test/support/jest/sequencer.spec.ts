import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for jest
import * as sequencer from './sequencer.mjs';

const { SLOW, default: Sequencer } = sequencer as {
  SLOW: string[];
  default: new () => { sort(tests: object[]): { path: string }[] };
};

const sorted = (rootDir: string, names: string[]): string[] => {
  const hasteFS = { getSize: (path: string) => (path.includes('large') ? 9000 : 100) };
  const context = { config: { rootDir, cache: false }, hasteFS };
  const tests = names.map((name) => ({ path: join(rootDir, name), context }));
  return new Sequencer().sort(tests).map(({ path }) => path.slice(rootDir.length + 1));
};

it('starts the slow spec files first in a clean checkout, the longest before all', () => {
  const [first, second] = SLOW;
  expect(sorted('/checkout', ['test/unit/large.spec.ts', second!, 'test/a.spec.ts', first!])).toEqual([
    first,
    second,
    'test/unit/large.spec.ts',
    'test/a.spec.ts',
  ]);
});

it('names spec files that exist', () => {
  expect(SLOW.filter((name) => !existsSync(name))).toEqual([]);
});
