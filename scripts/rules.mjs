// Removes each part of each rule of the client from a copy of lib, one at a time, and runs the test that must notice.
// `npm run rules [-- --rule N] [-- --write]`; `--write` writes the list into docs/reliability.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { REMOVALS, RULES } from './rules/removals.mjs';
import { Tree } from './rules/tree.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const PAGE = join(root, 'docs/reliability.md');
const [OPEN, CLOSE] = ['<!-- rules: written by `npm run rules -- --write` -->', '<!-- /rules -->'];

/** The name of a test with its subject, which is in the titles of the blocks around it. */
function nameIn(results, { spec, test }) {
  const all = results.find(({ name }) => name.endsWith(spec)).assertionResults;
  const [first, ...others] = all.filter(({ fullName, status }) => status === 'passed' && fullName.includes(test));
  // Of a table of tests, the title without the values of a row.
  return [...first.ancestorTitles, others.length > 0 ? test : first.title].join(': ');
}

function writeTable(removals, results) {
  const rows = removals.map((removal, i) => {
    const { rule, out, spec } = removal;
    const isFirst = removals[i - 1]?.rule !== rule;
    const said = isFirst ? RULES[rule - 1] : '';
    return `| ${isFirst ? rule : ''} | ${said} | ${out} | ${nameIn(results, removal).replaceAll('|', '\\|')} (\`${spec}\`) |`;
  });
  const table = ['| | rule | removed, one at a time | the test that failed |', '|---|---|---|---|', ...rows].join('\n');
  const page = readFileSync(PAGE, 'utf8');
  const [before, rest] = page.split(OPEN);
  writeFileSync(PAGE, `${before}${OPEN}\n\n${table}\n\n${CLOSE}${rest.split(CLOSE)[1]}`);
}

const args = process.argv.slice(2);
const only = args.includes('--rule') ? Number(args[args.indexOf('--rule') + 1]) : undefined;
const removals = REMOVALS.filter(({ rule }) => only === undefined || rule === only);
const tree = new Tree();
try {
  const whole = await tree.run(
    removals.map(({ spec }) => spec),
    removals.map(({ test }) => test),
  );
  if (whole.failed > 0 || whole.passed === 0) throw new Error(`with all rules in place ${whole.failed} tests fail`);
  let unnoticed = 0;
  for (const removal of removals) {
    const noticed = (await tree.runWith(removal)).failed > 0;
    if (!noticed) unnoticed++;
    console.log(`rule ${removal.rule}, without "${removal.out}": ${noticed ? 'red' : 'NOT NOTICED'} (${removal.test})`);
  }
  console.log(
    `\n${removals.length - unnoticed} of ${removals.length} removals noticed; ${whole.passed} tests green before`,
  );
  if (args.includes('--write') && unnoticed === 0 && only === undefined) writeTable(removals, whole.results);
  process.exitCode = unnoticed > 0 ? 1 : 0;
} finally {
  tree.remove();
}
