// Breaks what locks in Postgres depend on in a copy of lib, one thing at a time, and runs the test that must notice. Part of
// `npm run test:mutants`.
import { findPostgres, NO_POSTGRES, postgresIsRequired } from './postgres-server.mjs';
import { MUTANTS } from './rules/postgres.mjs';
import { Tree } from './rules/tree.mjs';

const isHere = Object.keys(findPostgres()).length > 0;
if (!isHere && postgresIsRequired()) throw new Error(NO_POSTGRES);
const needsServer = ({ spec }) => spec.startsWith('test/integration/');

const tree = new Tree();
try {
  const mutants = MUTANTS.filter((mutant) => isHere || !needsServer(mutant));
  const whole = await tree.run(
    mutants.map(({ spec }) => spec),
    mutants.map(({ test }) => test),
  );
  if (whole.failed > 0) throw new Error(`without a mutant ${whole.failed} tests fail`);
  let unnoticed = 0;
  for (const mutant of MUTANTS) {
    const { name, spec, test } = mutant;
    if (!mutants.includes(mutant)) {
      console.log(`${name}: left out, without a Postgres server`);
      continue;
    }
    const passed = whole.results
      .filter(({ name: path }) => path.endsWith(spec))
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ fullName, status }) => status === 'passed' && fullName.includes(test));
    if (passed.length === 0) throw new Error(`${spec} has no test "${test}"`);
    const noticed = (await tree.runWith(mutant)).failed > 0;
    if (!noticed) unnoticed++;
    console.log(`${name}: ${noticed ? 'noticed' : 'NOT NOTICED'} (${test})`);
  }
  console.log(`\n${mutants.length - unnoticed} of ${mutants.length} mutants of the Postgres backend noticed`);
  process.exitCode = unnoticed > 0 ? 1 : 0;
} finally {
  tree.remove();
}
