import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** The result that StrykerJS gets for a mutant that ran out of time. (After an error it would start a new process.) */
export const NOT_RUN = { status: 'survived', nrOfTests: 0 };

/** Removes such mutants from the results, so that the next run tries them. Returns how many there were. */
export function forgetLeftOver(file) {
  if (!existsSync(file)) return 0;
  const results = JSON.parse(readFileSync(file, 'utf8'));
  let count = 0;
  for (const one of Object.values(results.files)) {
    const run = one.mutants.filter(({ status, testsCompleted }) => status !== 'Survived' || testsCompleted !== 0);
    count += one.mutants.length - run.length;
    one.mutants = run;
  }
  writeFileSync(file, JSON.stringify(results));
  return count;
}
