// Measures the cost of held locks and waiting callers. See `node bench/holders.mjs --help`.
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildFolder } from './support/build.mjs';
import { percent, whole } from './support/format.mjs';
import { circumstances, headline } from './support/report.mjs';
import { Stage } from './support/stage.mjs';

const HELP = `node bench/holders.mjs [options]

  --locks N         held locks, renewed after half of their lease (default 100000)
  --lease SECONDS   (default 30)
  --seconds N       how long their renewals are measured (default: the lease)
  --callers N       callers that wait for one key (default 10000)
  --json FILE       the figures as JSON
  --build FOLDER    another ESM build than dist/esm
  --help
`;

const { values: options } = parseArgs({
  options: {
    locks: { type: 'string', default: '100000' },
    lease: { type: 'string', default: '30' },
    seconds: { type: 'string' },
    callers: { type: 'string', default: '10000' },
    json: { type: 'string' },
    build: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const MAX_SHARE = 0.1;
const MAX_BYTES = 1024;
/** Time for requested work to settle before it is measured. */
const SETTLE_MS = 2000;

/** Heap in use after a garbage collection. */
const memoryOf = async (child) => (await child.ask('memory')).inUse;

async function open(stage, file) {
  const daemon = await stage.server('daemon.mjs', file, { maxLocks: 2_000_000, maxWaiters: 0 });
  const client = await stage.client(file, [stage.moduleUrl('entries/client.js')], stage.nodeFlags);
  await client.ask('open', { options: { servers: [[daemon.host, daemon.port]] } });
  return { daemon, client };
}

async function holders(stage) {
  const locks = Number(options.locks);
  const leaseTtlS = Number(options.lease);
  const ms = 1000 * Number(options.seconds ?? leaseTtlS);
  const { daemon, client } = await open(stage, 'holder.mjs');
  const sides = { client, daemon };
  const before = await each(sides, memoryOf);
  await client.ask('hold', { locks, leaseTtlS });
  await pause(SETTLE_MS);
  const after = await each(sides, memoryOf);
  const cpuBefore = await each(sides, (side) => side.ask('cpu'));
  const start = performance.now();
  await pause(ms);
  const cpu = await each(sides, (side) => side.ask('cpu'));
  const elapsed = performance.now() - start;
  const state = await client.ask('held');
  const figures = Object.keys(sides).map((side) => ({
    side,
    share: (cpu[side] - cpuBefore[side]) / elapsed,
    bytesEach: (after[side] - before[side]) / locks,
  }));
  return { locks, leaseTtlS, elapsed, ...state, figures };
}

async function crowd(stage) {
  const callers = Number(options.callers);
  const { client } = await open(stage, 'crowd.mjs');
  const before = await memoryOf(client);
  await client.ask('gather', callers);
  await pause(SETTLE_MS);
  const bytesEach = ((await memoryOf(client)) - before) / callers;
  const connections = await client.ask('connections');
  const { count, ms } = await client.ask('serve');
  return { callers, connections, bytesEach, turnsPerSecond: (count / ms) * 1000 };
}

async function each(sides, ask) {
  const answers = {};
  for (const [side, child] of Object.entries(sides)) answers[side] = await ask(child);
  return answers;
}

const verdict = (value, most) => (value <= most ? 'met' : 'missed');

function report(held, waiting) {
  const { locks, leaseTtlS, elapsed, figures } = held;
  return [
    `${whole(locks)} locks of ${leaseTtlS} s, renewed at half, for ${whole(elapsed / 1000)} s: ` +
      `${whole(held.held)} still held, ${whole(held.lost)} lost`,
    '',
    '| side | share of one core | goal | bytes for each lock | goal |',
    '| --- | ---: | --- | ---: | --- |',
    ...figures.map(
      ({ side, share, bytesEach }) =>
        `| ${side} | ${percent(share)} | ≤ ${percent(MAX_SHARE)}: ${verdict(share, MAX_SHARE)} ` +
        `| ${whole(bytesEach)} | ≤ ${whole(MAX_BYTES)}: ${verdict(bytesEach, MAX_BYTES)} |`,
    ),
    '',
    `${whole(waiting.callers)} callers waiting for one key: ${waiting.connections} connections, ` +
      `${whole(waiting.bytesEach)} bytes for each caller; then ${whole(waiting.turnsPerSecond)} turns a second`,
    '',
  ].join('\n');
}

/** Each on a stage of its own, so that neither pays for the leftovers of the other. */
async function onStage(scene) {
  const stage = new Stage(buildFolder(options.build), ['--expose-gc', '--max-old-space-size=4096']);
  try {
    return await scene(stage);
  } finally {
    await stage.clear();
  }
}

if (options.help) process.stdout.write(HELP);
else {
  const where = circumstances();
  process.stdout.write(`${headline(where)}\n`);
  const held = await onStage(holders);
  const waiting = await onStage(crowd);
  process.stdout.write(report(held, waiting));
  if (options.json) writeFileSync(options.json, JSON.stringify({ ...where, held, waiting }, undefined, 2) + '\n');
}
