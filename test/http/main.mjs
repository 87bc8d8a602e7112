// HTTP waits that end at random, and requests that nobody should send. `npm run test:http -- --help` tells how.
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { buildFolder } from '../../bench/support/build.mjs';
import { Child } from '../../bench/support/child.mjs';
import { fuzz } from './fuzz.mjs';
import { waits } from './waits.mjs';

const HELP = `npm run test:http -- [options]

Both parts run unless only one is named.

  --waits N      so many waits and streams of signals that end at random (default 10000)
  --requests N   so many mutated requests (default 100000)
  --quick        1,000 waits, 10,000 requests
  --seed N       repeats a run as far as the machine does (default: the time)
  --build FOLDER another ESM build than dist/esm
  --help
`;

const { values: options } = parseArgs({
  options: {
    waits: { type: 'string' },
    requests: { type: 'string' },
    quick: { type: 'boolean', default: false },
    seed: { type: 'string' },
    build: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main() {
  const build = buildFolder(options.build);
  const seed = Number(options.seed ?? Date.now() % 1_000_000);
  const both = options.waits === undefined && options.requests === undefined;
  const parts = [
    ['waits', waits, Number(options.waits ?? (both ? (options.quick ? 1000 : 10_000) : 0))],
    ['mutated requests', fuzz, Number(options.requests ?? (both ? (options.quick ? 10_000 : 100_000) : 0))],
  ];
  console.log(`seed ${seed}`);
  let isBroken = false;
  for (const [name, run, count] of parts) {
    if (!(count > 0)) continue;
    const begun = performance.now();
    const entry = pathToFileURL(`${build}/entries/daemon.js`).href;
    const daemon = new Child(new URL('processes/daemon.mjs', import.meta.url), [entry], ['--expose-gc']);
    try {
      const { said, violations } = await run(daemon, count, seed, (line) => console.log(line), build);
      console.log(`${count} ${name} in ${((performance.now() - begun) / 1000).toFixed(1)} s: ${said}`);
      for (const violation of violations) console.log(`  VIOLATION: ${violation}`);
      isBroken ||= violations.length > 0;
    } finally {
      await daemon.stop();
    }
  }
  return isBroken ? 1 : 0;
}

if (options.help) process.stdout.write(HELP);
else process.exitCode = await main();
