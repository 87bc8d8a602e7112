// Measures this package against raw TCP and other lock libraries. See `node bench/run.mjs --help`.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { GROUPS } from './contestants/index.mjs';
import { buildFolder } from './support/build.mjs';
import { measureAll, summarize } from './support/measure.mjs';
import { circumstances, headline, LEGEND, markdown } from './support/report.mjs';
import { Stage } from './support/stage.mjs';

const HELP = `npm run bench -- [options]

  --quick           fewer and shorter slices
  --json FILE       the figures, and every slice, as JSON
  --group NAME      only this group (may be repeated): ${[...new Set(GROUPS.map(({ name }) => name))].join(', ')}
  --only TEXT       only contestants whose names contain TEXT (and what they are compared with)
  --build FOLDER    another ESM build than dist/esm
  --profile FOLDER  CPU profiles of daemon and LockClient, to be opened in a browser's developer tools
  --help

DFLOCKD_BENCH_ADDR=host:port adds a running daemon: the remote contestants are measured with it, too.
`;

// Many short slices instead of few long ones: on a busy machine the medians of their ratios are far steadier. Several
// slices of warm-up: in a process that does little, it takes seconds until the code is compiled.
const FULL = {
  short: { rounds: 60, warmUp: 8, sliceMs: 80 },
  medium: { rounds: 20, warmUp: 4, sliceMs: 300 },
  long: { rounds: 10, warmUp: 8, sliceMs: 1000 },
  longest: { rounds: 5, warmUp: 1, sliceMs: 4000 },
};
const QUICK = {
  short: { rounds: 20, warmUp: 8, sliceMs: 40 },
  medium: { rounds: 7, warmUp: 3, sliceMs: 200 },
  long: { rounds: 5, warmUp: 1, sliceMs: 600 },
  longest: { rounds: 3, warmUp: 1, sliceMs: 2000 },
};

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    group: { type: 'string', multiple: true },
    only: { type: 'string' },
    build: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main() {
  const build = buildFolder(options.build);
  const where = circumstances();
  const groups = [];
  process.stdout.write(headline(where));
  for (const group of chosenGroups(options.group)) {
    const plan = (options.quick ? QUICK : FULL)[group.slices];
    const { contestants, notes } = group.make();
    const entered = chosen(contestants, options.only);
    if (entered.length === 0) {
      if (contestants.length === 0) process.stdout.write(`\n${group.title}: ${notes.join(' ')}\n`);
      continue;
    }
    const { slices, figures } = await race(entered, plan, build);
    process.stdout.write(markdown({ title: group.title, notes }, figures, plan));
    groups.push({ group: group.name, title: group.title, plan, figures, slices: Object.fromEntries(slices) });
  }
  process.stdout.write(LEGEND);
  if (options.json) writeFileSync(options.json, JSON.stringify({ ...where, groups }, undefined, 2) + '\n');
}

/** Measures a group on a stage of its own. */
async function race(contestants, plan, build) {
  const stage = new Stage(build, profiling(options.profile));
  try {
    const slices = await measureAll(contestants, stage, plan, progress(plan));
    return { slices, figures: summarize(contestants, slices) };
  } finally {
    await stage.clear();
  }
}

function chosenGroups(names = GROUPS.map(({ name }) => name)) {
  const stranger = names.find((name) => !GROUPS.some((group) => group.name === name));
  if (stranger !== undefined) throw new Error(`there is no group "${stranger}"`);
  return GROUPS.filter(({ name }) => names.includes(name));
}

function chosen(contestants, text = '') {
  const wanted = contestants.filter(({ name }) => name.includes(text));
  if (wanted.length === 0) return [];
  const names = new Set(wanted.flatMap(({ name, versus = [] }) => [name, ...versus]));
  return contestants.filter(({ name }, i) => i === 0 || names.has(name));
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
