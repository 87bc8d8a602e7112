// Measures the daemon and its engine beside raw TCP. `node bench/run.mjs --help` tells how.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CONTESTANTS } from './contestants/index.mjs';
import { buildFolder } from './support/build.mjs';
import { measureAll, summarize } from './support/measure.mjs';
import { circumstances, markdown } from './support/report.mjs';
import { Stage } from './support/stage.mjs';

const HELP = `npm run bench -- [options]

  --quick           fewer and shorter slices
  --json FILE       the figures, and every slice, as JSON
  --only TEXT       only contestants whose names contain TEXT (and what they are compared with)
  --build FOLDER    another ESM build than dist/esm
  --profile FOLDER  CPU profiles of the servers, to be opened in a browser's developer tools
  --help
`;

// Many short slices rather than few long ones: on a busy machine medians of their ratios are far steadier.
const FULL = { rounds: 60, warmUp: 8, sliceMs: 80 };
const QUICK = { rounds: 20, warmUp: 8, sliceMs: 40 };

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    only: { type: 'string' },
    build: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main() {
  const plan = options.quick ? QUICK : FULL;
  const contestants = chosen(options.only);
  const stage = new Stage(buildFolder(options.build), profiling(options.profile));
  const where = circumstances();
  try {
    const slices = await measureAll(contestants, stage, plan, progress(plan));
    const figures = summarize(contestants, slices);
    process.stdout.write(markdown(figures, plan, where));
    if (options.json) {
      const all = Object.fromEntries(slices);
      writeFileSync(options.json, JSON.stringify({ ...where, plan, figures, slices: all }, undefined, 2) + '\n');
    }
  } finally {
    await stage.clear();
  }
}

function chosen(text) {
  if (text === undefined) return CONTESTANTS;
  const wanted = CONTESTANTS.filter(({ name }) => name.includes(text));
  const names = new Set(wanted.flatMap(({ name, versus }) => [name, versus]));
  return CONTESTANTS.filter(({ name }, i) => i === 0 || names.has(name));
}

function profiling(folder) {
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

/** On a terminal only. */
function progress({ rounds }) {
  if (!process.stderr.isTTY) return () => {};
  return (round) => {
    const text = round < 0 ? 'warming up' : `round ${round + 1} of ${rounds}`;
    process.stderr.write(round === rounds - 1 ? '\r\x1b[K' : `\r\x1b[K${text}`);
  };
}

if (options.help) process.stdout.write(HELP);
else await main();
