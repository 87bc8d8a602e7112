import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MUTATIONS } from './mutations.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A copy of the build with one text replaced. */
function withMutation(build, folder, { file, from, to }) {
  const copy = join(folder, 'dist/esm');
  rmSync(copy, { recursive: true, force: true });
  cpSync(build, copy, { recursive: true });
  const path = join(copy, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${file} has not exactly one "${from}"`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  return copy;
}

/**
 * Runs against each mutant the attack that must notice it; returns how many went unnoticed.
 *
 * @param {(build: string, only: string) => Promise<{ violations: string[] }[]>} run
 */
export async function runMutants(build, only, run) {
  const folder = mkdtempSync(join(tmpdir(), 'dflockd-attack-'));
  const chosen = MUTATIONS.filter(({ name }) => name.includes(only));
  let unnoticed = 0;
  try {
    // The command reads its version there.
    cpSync(join(root, 'package.json'), join(folder, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (const mutation of chosen) {
      const rows = await run(withMutation(build, folder, mutation), mutation.attack);
      const violations = rows.flatMap((row) => row.violations);
      const found = violations.find((violation) => mutation.finding.test(violation));
      if (found === undefined) unnoticed++;
      const seen = found
        ? `noticed (${found.split('\n')[0]})`
        : `NOT NOTICED; seen: ${violations.join('; ') || 'nothing'}`;
      console.log(`${mutation.name}: ${seen}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`\n${chosen.length - unnoticed} of ${chosen.length} mutants noticed`);
  return unnoticed;
}
