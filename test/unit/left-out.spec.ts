import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const read = (file: string): string => readFileSync(file, 'utf8');

/** Those of the machine, those that tests only quote, and those that scripts set for compiled copies of test/support. */
const OTHERS = ['PATH', 'NODE_OPTIONS', 'DATABASE_URL', 'DFLOCKD_TEST_PGBOUNCER', 'DFLOCKD_TEST_POSTGRES_CACHE'];

/** The variables that decide what a test does. */
function variablesOf(code: string): string[] {
  const read = [...code.matchAll(/process\.env(?:\.|\[')([A-Z_]+)/g)].map(([, name]) => name!);
  const taken = [...code.matchAll(/\{([^}]*)\} = process\.env/g)].flatMap(
    ([, names]) => names!.match(/[A-Z_]{2,}/g) ?? [],
  );
  return [...read, ...taken].filter((name) => !OTHERS.includes(name));
}

/** The scripts that .ci/run runs, and what it sets itself. */
function steps(): string {
  const run = read('.ci/run');
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const ran = [...run.matchAll(/^step npm (?:run )?([\w:]+)/gm)].map(([, name]) => scripts[name!]);
  return [run, ...ran].join('\n');
}

describe('what a variable leaves out of npm test', () => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((name) => /\.m?ts$/.test(name));
  const variables = [...new Set(files.flatMap((name) => variablesOf(read(`test/${name}`))))].sort();
  const ran = steps();
  const byHand = read('CONTRIBUTING.md');

  it('is run by a step of .ci/run, or CONTRIBUTING.md says how', () => {
    expect(variables).toEqual(expect.arrayContaining(['DFLOCKD_TEST_ADDR', 'READ_TIMEOUT', 'REDIS']));
    const nowhere = variables.filter((name) => !new RegExp(`\\b${name}=`).test(ran) && !byHand.includes(`\`${name}`));
    expect(nowhere).toEqual([]);
  });
});
