import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';
// @ts-expect-error -- plain JavaScript, for a script
import { MUTANTS } from '../../scripts/rules/postgres.mjs';
// @ts-expect-error -- plain JavaScript, for a script
import { REMOVALS } from '../../scripts/rules/removals.mjs';
// @ts-expect-error -- plain JavaScript, for a script
import { MUTATIONS as ATTACK_MUTATIONS } from '../attack/mutations.mjs';
import { MUTATIONS } from '../faults/mutations.js';

interface Replacement {
  readonly file: string;
  readonly from: string;
}

const compilerOptions: ts.CompilerOptions = {
  ...ts.convertCompilerOptionsFromJson(ts.readConfigFile('tsconfig.json', ts.sys.readFile).config.compilerOptions, '.')
    .options,
  module: ts.ModuleKind.ESNext,
  noEmit: false,
};

const texts = new Map<string, string>();

/** A file of lib or, if its name ends with .js, of the ESM build, without building the package. */
function textOf(file: string): string {
  const source = readFileSync(`lib/${file.replace(/\.js$/, '.ts')}`, 'utf8');
  const text =
    texts.get(file) ?? (file.endsWith('.js') ? ts.transpileModule(source, { compilerOptions }).outputText : source);
  texts.set(file, text);
  return text;
}

const timesIn = ({ file, from }: Replacement): number => textOf(file).split(from).length - 1;
const name = ({ file, from }: Replacement): string => `${file}: ${from}`;

/** These scripts take minutes and run rarely: this test notices when lib has changed under them. */
describe('the text that a script replaces in lib, to see a test, the lab or an attack notice', () => {
  it.each([
    ['npm run rules', REMOVALS as Replacement[]],
    ['npm run test:mutants', MUTANTS as Replacement[]],
    ['npm run faults -- --mutants', MUTATIONS],
    ['npm run attack -- --mutants', ATTACK_MUTATIONS as Replacement[]],
  ])('occurs exactly once: %s', (_script, all) => {
    expect(all.filter((one) => timesIn(one) !== 1).map(name)).toEqual([]);
    expect(all.length).toBeGreaterThan(10);
  });
});

it('docs/reliability.md lists the mutants of the Postgres backend, each with its test', () => {
  const page = readFileSync('docs/reliability.md', 'utf8');
  const rows = (MUTANTS as { name: string; test: string }[]).map(({ name, test }) => ({ name, test }));
  const isListed = ({ name, test }: { name: string; test: string }): boolean =>
    page.split('\n').some((line) => line.startsWith(`| ${name} |`) && line.includes(`| ${test} (`));
  expect(rows.filter((row) => !isListed(row))).toEqual([]);
});
