// The daemon under attack. `npm run attack -- --help` tells how it is called.
import { parseArgs } from 'node:util';
import { attacks } from './attacks.mjs';
import { endings } from './endings.mjs';
import { table, writePage } from './page.mjs';
import { siege } from './siege.mjs';
import { buildFolder } from '../../bench/support/build.mjs';

const HELP = `npm run attack -- [options]

  --quick        at most a minute: fewer rounds, fewer keys
  --only TEXT    only the attacks with TEXT in their names
  --build FOLDER another ESM build than dist/esm
  --write        writes the table into docs/reliability.md
  --help
`;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    build: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** A process that has ended, or a condition that never came true. */
const broken = (error) => ({ said: 'broken off', violations: [error.stack] });

async function main() {
  const build = buildFolder(options.build);
  const begun = performance.now();
  const rows = [];
  const plans = [
    ...attacks(options.quick).map((attack) => ({ name: attack.name, run: () => siege(build, attack) })),
    ...endings(build, options.quick),
  ];
  for (const { name, run } of plans.filter((plan) => plan.name.includes(options.only))) {
    const row = { name, ...(await run().catch(broken)) };
    rows.push(row);
    console.log(`${name}: ${row.said}`);
    for (const violation of row.violations) console.log(`  VIOLATION: ${violation}`);
  }
  if (rows.length === 0) throw new Error(`no attack has "${options.only}" in its name`);
  const minutes = (performance.now() - begun) / 60_000;
  console.log(`\n${table(rows, minutes)}`);
  if (options.write) await writePage(rows, minutes);
  return rows.some(({ violations }) => violations.length > 0) ? 1 : 0;
}

if (options.help) process.stdout.write(HELP);
else process.exitCode = await main();
