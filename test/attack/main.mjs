// The daemon under attack. `npm run attack -- --help` tells how it is called.
import { parseArgs } from 'node:util';
import { attacks } from './attacks.mjs';
import { endings } from './endings.mjs';
import { fullDisk } from './full-disk.mjs';
import { runMutants } from './mutants.mjs';
import { table, writePage } from './page.mjs';
import { siege } from './siege.mjs';
import { buildFolder } from '../../bench/support/build.mjs';

const HELP = `npm run attack -- [options]

  --quick        less than two minutes: shorter, fewer keys; the p99 is told and not judged
  --only TEXT    only the attacks with TEXT in their names
  --build FOLDER another ESM build than dist/esm
  --mutants      breaks the daemon in known ways: each must be noticed
  --write        writes what it measured into docs/reliability.md
  --help
`;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    build: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** A process that has ended, or a condition that never came true. */
const broken = (error) => ({ said: 'broken off', violations: [error.stack] });

/** @returns a row for each attack whose name contains the text */
async function runAttacks(build, plans, only, say) {
  const chosen = plans.filter(({ name }) => name.includes(only));
  if (chosen.length === 0) throw new Error(`no attack has "${only}" in its name`);
  const rows = [];
  async function carryOut({ name, run }) {
    const row = { name, ...(await run().catch(broken)) };
    rows.push(row);
    say(`${name}: ${row.said}`);
    for (const violation of row.violations) say(`  VIOLATION: ${violation}`);
  }
  for (const plan of chosen.filter(({ together = false }) => !together)) await carryOut(plan);
  await Promise.all(chosen.filter(({ together = false }) => together).map(carryOut));
  return rows;
}

const sieges = (build, quick, judged) =>
  attacks(quick, judged).map((attack) => ({ name: attack.name, run: () => siege(build, attack) }));

async function main() {
  const build = buildFolder(options.build);
  const begun = performance.now();
  if (options.mutants) {
    const unnoticed = await runMutants(build, options.only, (copy, only) =>
      runAttacks(copy, [...sieges(copy, true, true), ...endings(copy), ...fullDisk(copy)], only, () => undefined),
    );
    return unnoticed > 0 ? 1 : 0;
  }
  // Where no times are judged, the endings need not wait for one another.
  const plans = [
    ...sieges(build, options.quick),
    ...[...endings(build), ...fullDisk(build)].map((plan) => ({ ...plan, together: options.quick })),
  ];
  const rows = await runAttacks(build, plans, options.only, (line) => console.log(line));
  const minutes = (performance.now() - begun) / 60_000;
  console.log(`\n${table(rows, minutes)}`);
  if (options.write) await writePage(rows);
  return rows.some(({ violations }) => violations.length > 0) ? 1 : 0;
}

if (options.help) process.stdout.write(HELP);
else process.exitCode = await main();
