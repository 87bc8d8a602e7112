// What held locks, waited-for keys and clients cost on Redis. `node bench/redis-cost.mjs --help` tells how.
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LIBRARIES, redisEntries } from './contestants/callers.mjs';
import { buildFolder } from './support/build.mjs';
import { finePercent, whole } from './support/format.mjs';
import { findRedis } from './support/redis.mjs';
import { circumstances, headline, line } from './support/report.mjs';
import { redisAt } from './support/servers.mjs';
import { spread } from './support/statistics.mjs';
import { Stage } from './support/stage.mjs';

const HELP = `node bench/redis-cost.mjs [options]

  --locks N         held locks (default 100000)
  --lease SECONDS   of the held locks, renewed after half of it (default 30)
  --slices N        of half a lease, in which renewals are measured: the median counts (default 5)
  --keys N          keys with a waiter (default 1000)
  --quick           20,000 locks of 10 s, 3 slices
  --json FILE       the figures as JSON
  --build FOLDER    another ESM build than dist/esm
  --help
`;

const { values: options } = parseArgs({
  options: {
    locks: { type: 'string' },
    lease: { type: 'string' },
    slices: { type: 'string' },
    keys: { type: 'string', default: '1000' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    build: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** The goals. */
const RENEWALS = 100_000;
const MAX_RENEWAL_MS = 300;
const MAX_WAITING_SHARE = 0.05;
const CONNECTIONS = 2;

/** Time for what has just been asked for to be done before it is looked at. */
const SETTLE_MS = 2000;
/** Leases that pass first: code is compiled, and the garbage of 100,000 acquires is collected, which costs more than their renewals. */
const WARM_UP_LEASES = 1;

const verdict = (met) => (met ? 'met' : 'missed');

/** The CPU time of processes, in milliseconds, over a time. */
async function cpuOver(ms, sides) {
  const times = () => Promise.all(Object.values(sides).map((side) => side.cpu()));
  const [before, start] = [await times(), performance.now()];
  await pause(ms);
  const [after, elapsed] = [await times(), performance.now() - start];
  const used = Object.fromEntries(Object.keys(sides).map((name, i) => [name, after[i] - before[i]]));
  return { elapsed, used };
}

const median = (values) => spread(values).median;

const sideOf = (child) => ({ cpu: () => child.ask('cpu') });

/** A client of the backend in a process of its own. */
async function clientOf(stage, redis, library) {
  const locker = new URL('lockers/redis-backend.mjs', import.meta.url).href;
  const child = await stage.client('redis-holder.mjs', [locker], stage.nodeFlags);
  const { host, port } = redis;
  await child.ask('open', { host, port, ...redisEntries(library)(stage) });
  return child;
}

/** Locks that are held and renewed. */
async function renewals(stage, redis, library) {
  const locks = Number(options.locks ?? (options.quick ? 20_000 : 100_000));
  const leaseTtlS = Number(options.lease ?? (options.quick ? 10 : 30));
  const client = await clientOf(stage, redis, library);
  const connections = await redis.ask('connections');
  await client.ask('hold', { locks, leaseTtlS });
  await pause(SETTLE_MS + WARM_UP_LEASES * 1000 * leaseTtlS);
  const slices = [];
  const sliceMs = (1000 * leaseTtlS) / 2;
  const sides = { node: sideOf(client), redis };
  for (let left = Number(options.slices ?? (options.quick ? 3 : 5)); left > 0; left--) {
    slices.push(await renewalsIn(sliceMs, redis, sides));
  }
  const { held, lost } = await client.ask('held');
  const nodeMs = slices.map((slice) => slice.nodeMs);
  return {
    library,
    locks,
    leaseTtlS,
    elapsed: sliceMs * slices.length,
    count: slices.reduce((sum, { count }) => sum + count, 0),
    held,
    lost,
    nodeMs: median(nodeMs),
    mostNodeMs: Math.max(...nodeMs),
    redisMs: median(slices.map((slice) => slice.redisMs)),
    connections,
    slices,
  };
}

async function renewalsIn(ms, redis, sides) {
  const before = await redis.ask('renewals');
  const { used } = await cpuOver(ms, sides);
  const count = (await redis.ask('renewals')) - before;
  if (count === 0) throw new Error('no lock was renewed');
  return { count, nodeMs: (used.node / count) * RENEWALS, redisMs: (used.redis / count) * RENEWALS };
}

/** All of them at once, by the backend by itself. */
async function renewedAtOnce(stage, redis, library) {
  const locks = options.quick ? 20_000 : RENEWALS;
  const locker = new URL('lockers/redis-backend.mjs', import.meta.url).href;
  const child = await stage.client('redis-holder.mjs', [locker], stage.nodeFlags);
  const { host, port } = redis;
  const where = { host, port, ...redisEntries(library)(stage), system: stage.moduleUrl('common/system.js') };
  const { count, ms, cpuMs } = await child.ask('renewAll', { locks, leaseMs: 600_000, ...where });
  return { library, count, ms: (ms / count) * RENEWALS, nodeMs: (cpuMs / count) * RENEWALS };
}

/** Keys that one process holds and another one waits for. */
async function waiting(stage, redis, library) {
  const keys = Number(options.keys);
  const holder = await clientOf(stage, redis, library);
  const waiter = await clientOf(stage, redis, library);
  await holder.ask('hold', { locks: keys, leaseTtlS: 600 });
  await waiter.ask('wait', { locks: keys });
  await pause(SETTLE_MS);
  const { elapsed, used } = await cpuOver(options.quick ? 5000 : 15_000, { node: sideOf(waiter), redis });
  const connections = await redis.ask('connections');
  return { library, keys, node: used.node / elapsed, redis: used.redis / elapsed, connections: connections / 2 };
}

/** Each on a stage and a Redis of its own: neither pays for what the other has left. */
async function onStage(scene, library) {
  const stage = new Stage(buildFolder(options.build), ['--max-old-space-size=4096']);
  try {
    return await scene(stage, await redisAt(file).reach(stage), library);
  } finally {
    await stage.clear();
  }
}

const report = (atOnce, held, waited) =>
  [
    '',
    `${whole(RENEWALS)} leases renewed at once by the backend: Node's CPU time, and wall time.`,
    '',
    line(['client', 'renewed', 'Node', 'goal', 'wall time']),
    line(['---', '---:', '---:', '---', '---:']),
    ...atOnce.map((a) =>
      line([
        LIBRARIES[a.library],
        whole(a.count),
        `${whole(a.nodeMs)} ms`,
        `≤ ${MAX_RENEWAL_MS} ms: ${verdict(a.nodeMs <= MAX_RENEWAL_MS)}`,
        `${whole(a.ms)} ms`,
      ]),
    ),
    '',
    `Leases that a LockClient keeps, each renewed at a time of its own: CPU time for ${whole(RENEWALS)} renewals, from those that`,
    'Redis has counted; the median and the most of slices of half a lease. The most has a garbage collection of the',
    'whole heap in it.',
    '',
    line(['client', 'locks', 'renewed', 'lost', 'Node', 'goal', 'Redis', 'connections of a client', 'goal']),
    line(['---', '---:', '---:', '---:', '---:', '---', '---:', '---:', '---']),
    ...held.map((h) =>
      line([
        LIBRARIES[h.library],
        `${whole(h.locks)} of ${h.leaseTtlS} s`,
        `${whole(h.count)} in ${whole(h.elapsed / 1000)} s`,
        whole(h.lost),
        `${whole(h.nodeMs)} ms, at most ${whole(h.mostNodeMs)}`,
        `≤ ${MAX_RENEWAL_MS} ms: ${verdict(h.nodeMs <= MAX_RENEWAL_MS)}`,
        `${whole(h.redisMs)} ms`,
        h.connections,
        `${CONNECTIONS}: ${verdict(h.connections === CONNECTIONS)}`,
      ]),
    ),
    '',
    'Keys that one process waits for and another one holds: shares of one core.',
    '',
    line(['client', 'keys', 'Node, the waiting process', 'goal', 'Redis', 'connections of a client', 'goal']),
    line(['---', '---:', '---:', '---', '---:', '---:', '---']),
    ...waited.map((w) =>
      line([
        LIBRARIES[w.library],
        whole(w.keys),
        finePercent(w.node),
        `≤ ${finePercent(MAX_WAITING_SHARE)}: ${verdict(w.node <= MAX_WAITING_SHARE)}`,
        finePercent(w.redis),
        w.connections,
        `${CONNECTIONS}: ${verdict(w.connections === CONNECTIONS)}`,
      ]),
    ),
    '',
  ].join('\n');

if (options.help) process.stdout.write(HELP);
const file = options.help ? undefined : findRedis();
if (!options.help && file === undefined) process.stdout.write('Left out: no redis-server.\n');
if (file !== undefined) {
  const where = circumstances();
  process.stdout.write(headline(where));
  const held = [];
  const waited = [];
  const atOnce = [];
  for (const library of Object.keys(LIBRARIES)) {
    atOnce.push(await onStage(renewedAtOnce, library));
    held.push(await onStage(renewals, library));
    waited.push(await onStage(waiting, library));
  }
  process.stdout.write(report(atOnce, held, waited));
  if (options.json)
    writeFileSync(options.json, JSON.stringify({ ...where, atOnce, held, waited }, undefined, 2) + '\n');
}
