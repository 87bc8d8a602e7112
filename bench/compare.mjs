// Checks whether the working tree is as fast as a commit. See `node bench/compare.mjs --help`.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { embedded, remote } from './contestants/callers.mjs';
import { lockConnections } from './contestants/connections.mjs';
import { lockedMethod } from './contestants/nest.mjs';
import { pipelined } from './contestants/pipelined.mjs';
import {
  BY_CPU,
  BY_SERVER_CPU,
  BY_THE_CLOCK,
  compare,
  comparisonHeader,
  comparisonLine,
  variedOrder,
} from './support/comparison.mjs';
import { measureAll } from './support/measure.mjs';
import { circumstances, headline } from './support/report.mjs';
import { ownDaemon } from './support/servers.mjs';
import { Stage } from './support/stage.mjs';
import { commitOf, SourceTrees } from './support/trees.mjs';

/** For each build, in each start. */
const SLICES = 4;
const SLICE_MS = 80;
/** CPU time to warm up a build: on a busy machine, a fixed number of slices may be too little to have it compiled. */
const WARM_UP_CPU_MS = 500;

const HELP = `npm run bench:compare -- [options]

  --base REV       the commit to compare the working tree with (default HEAD)
  --bound PERCENT  how much slower it may be (default 3)
  --slices N       measured slices of each build in each benchmark, at least 24 (default 48)
  --only TEXT      only benchmarks whose names contain TEXT
  --json FILE      the figures, and every slice, as JSON
  --help

Three builds run in turn, in processes of their own: the base, the candidate (the working tree, with what has not been
committed) and the control, a second build of the base. The benchmarks are those of the working tree: base and candidate
must both have the public API that they call. Both use the node_modules of the working tree.

Two rates are compared: per second, and per second of CPU time. Only the first one shows time lost by waiting; the
second is much steadier on a busy machine. After every ${SLICES} slices of each build, in varying order, all processes are
started anew, because two processes of one build may differ by several per cent for as long as they live. A ratio is the
median over all starts, with an interval of at least 95 %.

If the interval of the control reaches further than the bound, it replaces the bound: a candidate that is slower still
is outside, any other is undecided. More slices or a quieter machine narrow the intervals.

Exit codes: 0 if no benchmark is outside, 1 if one is, 2 if measuring failed, 130 if interrupted.
`;

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The benchmarks, each with the CPU time that the package spends. */
const BENCHMARKS = [
  [pipelined(1000), BY_SERVER_CPU],
  [lockConnections(100), BY_SERVER_CPU],
  [remote(1, ownDaemon), BY_CPU],
  [remote(100, ownDaemon), BY_CPU],
  [remote(1000, ownDaemon), BY_CPU],
  [embedded(1, []), BY_CPU],
  [embedded(100, []), BY_CPU],
  [lockedMethod, BY_CPU],
];
/** A start that takes longer counts as hanging. */
const PATIENCE_MS = 120_000;

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupted.abort());

async function main() {
  const { base, bound, only, slices, json, help } = options();
  if (help) return process.stdout.write(HELP);
  const benchmarks = BENCHMARKS.filter(([{ name }]) => name.includes(only));
  if (benchmarks.length === 0) throw new Error(`there is no benchmark "${only}"`);
  const commit = await commitOf(ROOT, base);
  const where = circumstances();
  const trees = new SourceTrees(ROOT, interrupted.signal);
  try {
    const builds = {
      base: await trees.checkOut('base', commit),
      candidate: await trees.copy('candidate'),
      control: await trees.checkOut('control', commit),
    };
    process.stdout.write(headline(where));
    process.stdout.write(
      `The working tree beside ${base} (${commit.slice(0, 10)}): at most ${bound * 100} % slower, ` +
        `${slices} interleaved slices of ${SLICE_MS} ms, ${SLICES} of each build in a start.\n\n${comparisonHeader}\n`,
    );
    const comparisons = [];
    const measuredSlices = {};
    for (const [benchmark, byCpu] of benchmarks) {
      const measured = [];
      for (let start = 0; start < slices / SLICES; start++) measured.push(await measure(benchmark, builds, start));
      const { name, unit } = benchmark;
      for (const by of [BY_THE_CLOCK, byCpu]) {
        const comparison = compare(measured, by, bound);
        process.stdout.write(`${comparisonLine(name, unit, comparison)}\n`);
        comparisons.push({ name, unit, ...comparison });
      }
      measuredSlices[name] = measured;
    }
    if (json)
      writeFileSync(
        json,
        JSON.stringify({ ...where, commit, bound, comparisons, slices: measuredSlices }, undefined, 2) + '\n',
      );
    if (comparisons.some(({ verdict }) => verdict === 'outside')) process.exitCode = 1;
  } finally {
    await trees.remove();
  }
}

function options() {
  const { values } = parseArgs({
    options: {
      base: { type: 'string', default: 'HEAD' },
      bound: { type: 'string', default: '3' },
      slices: { type: 'string', default: '48' },
      only: { type: 'string', default: '' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const slices = Number(values.slices);
  const bound = Number(values.bound);
  if (!(Number.isInteger(slices) && slices >= 6 * SLICES))
    throw new Error(`--slices is at least ${6 * SLICES}, not "${values.slices}"`);
  if (!(bound > 0 && bound < 100)) throw new Error(`--bound is more than 0 and less than 100, not "${values.bound}"`);
  return { ...values, slices, bound: bound / 100 };
}

/** One start of a benchmark, each build in processes of its own. Resolves with the slices of each build. */
async function measure(benchmark, builds, start) {
  // Hash collisions are random and cost more than the bound, so within a start they are the same for all builds.
  const flags = [`--hash-seed=${start + 1}`, `--random-seed=${start + 1}`];
  const stages = [];
  const contestants = Object.entries(builds).map(([name, build]) => {
    const stage = new Stage(build, flags);
    stages.push(stage);
    return { ...benchmark, name, start: () => startWarm(benchmark, stage) };
  });
  const order = (items, round) => variedOrder(items, start * SLICES + round);
  const plan = { warmUp: 1, rounds: SLICES, sliceMs: SLICE_MS, order };
  const late = AbortSignal.timeout(PATIENCE_MS);
  try {
    const measuring = measureAll(contestants, undefined, plan, () => {});
    return Object.fromEntries(await unless(AbortSignal.any([interrupted.signal, late]), measuring));
  } catch (cause) {
    interrupted.signal.throwIfAborted();
    throw new Error(late.aborted ? `${benchmark.name} hangs` : `${benchmark.name}: ${cause.message}`, { cause });
  } finally {
    await Promise.all(stages.map((stage) => stage.clear()));
  }
}

async function startWarm(benchmark, stage) {
  const running = await benchmark.start(stage);
  for (let spent = 0; spent < WARM_UP_CPU_MS;) {
    interrupted.signal.throwIfAborted();
    const { clientCpuMs, serverCpuMs = 0 } = await running.slice(SLICE_MS);
    spent += clientCpuMs + serverCpuMs;
  }
  return running;
}

/** Settles as the promise does, unless the signal is aborted first. */
function unless(signal, promise) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}

try {
  await main();
} catch (error) {
  if (interrupted.signal.aborted) process.exitCode = 130;
  else {
    console.error(error);
    process.exitCode = 2;
  }
}
