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
  const context = { config: { rootDir, cache: false }, hasteFS: { getSize: (path: string) => path.length } };
  const tests = names.map((name) => ({ path: join(rootDir, name), context }));
  return new Sequencer().sort(tests).map(({ path }) => path.slice(rootDir.length + 1));
};

it('spreads the slow spec files among the others, the longest first', () => {
  const [first, second] = SLOW as [string, string];
  const others = Array.from({ length: 10 }, (_, i) => `test/${'x'.repeat(10 - i)}.spec.ts`);
  const order = sorted('/checkout', [...others.slice(5), second, ...others.slice(0, 5), first]);
  expect(order).toEqual([first, ...others.slice(0, 4), second, ...others.slice(4)]);
});

it('keeps the slow ones in order where nothing else runs', () => {
  expect(sorted('/checkout', [...SLOW].reverse())).toEqual(SLOW);
  expect(sorted('/checkout', ['test/a.spec.ts'])).toEqual(['test/a.spec.ts']);
});

it('names spec files that exist', () => {
  expect(SLOW.filter((name) => !existsSync(name))).toEqual([]);
});
