/** The faults lab. `npm run faults -- --help` tells how it is called. */
import { parseArgs } from 'node:util';
import type { Violation } from './log/evidence.js';
import { writePage } from './report/page.js';
import { Tally } from './report/tally.js';
import { runPostgresLab } from './postgres/main.js';
import { runPostgresRound } from './postgres/rounds.js';
import { runRedisLab } from './redis/main.js';
import { runRedisRound } from './redis/rounds.js';
import { runRound } from './lab/round.js';
import { rows } from './table/index.js';
import type { Row } from './table/row.js';

const HELP = `npm run faults -- [options]

  --seed N      only the round of random faults from this seed (may be repeated): what a failed run printed; with
                --holds, --hours or --long the rounds from this seed on
  --seconds S   how long the faults of a round go on (default 6; with --long 20)
  --rounds N    how many rounds of random faults (default 4)
  --long        rounds until 1,000,000 holds have been checked, or --holds or --hours; the table also at a read timeout of 23 s
  --holds N     rounds until so many holds have been checked
  --hours H     rounds for so long
  --table NAME  only the row of the table with that name (all: ''), and no rounds
  --mutants     breaks daemon and client in known ways, and proves that the lab notices each; --mutants TEXT: only those
                with TEXT in their names
  --write       writes table and timeline into docs/reliability.md and docs/reliability.svg
  --backend redis  all of this on Redis; in the table beside redis-semaphore and redlock, three rows at a time unless --write
                is given
  --backend postgres  all of this on Postgres, three rows at a time
  --locks N     on Redis and Postgres: how many locks (on Redis of each package) in each row, 20 at a time (default 20)
  --only NAMES  on Redis: only these packages: ours, watch, redis-semaphore, redlock (with commas between)
  --help
`;

const ROUND_S = { usual: '6', long: '20' };
/** Where --long stops by itself. */
const WANTED_HOLDS = 1_000_000;
const SHOWN = 10;

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', multiple: true },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    long: { type: 'boolean', default: false },
    holds: { type: 'string' },
    hours: { type: 'string' },
    table: { type: 'string' },
    write: { type: 'boolean', default: false },
    backend: { type: 'string', default: 'dflockd' },
    locks: { type: 'string', default: '20' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const ROUNDS = { dflockd: runRound, redis: runRedisRound, postgres: runPostgresRound };
if (!(options.backend in ROUNDS)) {
  throw new Error(`--backend must be one of ${Object.keys(ROUNDS).join(', ')}, got "${options.backend}"`);
}
const backend = options.backend as keyof typeof ROUNDS;

const tally = new Tally();
const measured: Row[] = [];
let failed = false;

function number(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} must be a number, 0 or more, got "${text}"`);
  return value;
}

function show(where: string, violations: readonly Violation[]): void {
  if (violations.length === 0) return;
  failed = true;
  const counts = new Map<string, number>();
  for (const { check } of violations) counts.set(check, (counts.get(check) ?? 0) + 1);
  const kinds = [...counts].map(([check, count]) => `${check}: ${count}`).join(', ');
  console.log(`\n${violations.length} violations (${kinds}) in ${where}:`);
  for (const { check, at, text } of violations.slice(0, SHOWN)) console.log(`  ${check} at ${at}: ${text}`);
  if (violations.length > SHOWN) console.log(`  … and ${violations.length - SHOWN} more`);
}

async function table(only: string): Promise<void> {
  for await (const row of rows(options.long, only)) {
    measured.push(row);
    tally.addRow(row);
    console.log(`${row.fault}: ${row.measured} (${row.runs} runs; ${row.promise})`);
    show(`"${row.fault}"`, row.violations);
  }
}

async function round(seed: number): Promise<void> {
  const seconds = number('seconds', options.seconds ?? (options.long ? ROUND_S.long : ROUND_S.usual));
  const result = await ROUNDS[backend](seed, seconds * 1000);
  tally.addRound(result);
  const { holds, calls, lost, contended, violations, happened } = result;
  console.log(
    `seed ${seed}: ${calls} calls, ${holds} holds (${contended} contended), ${lost} lost, ${violations.length} violations`,
  );
  const repeat = `--seed ${seed} --seconds ${seconds}${backend === 'dflockd' ? '' : ` --backend ${backend}`}`;
  show(`the round of seed ${seed}; repeat it with: npm run faults -- ${repeat}`, violations);
  if (violations.length > 0 || process.env['FAULTS_KEEP']) for (const fault of happened) console.log(`  ${fault}`);
}

/** Whether rounds go on until enough has been checked. */
const isOpenEnded = options.long || options.holds !== undefined || options.hours !== undefined;

/** @param first seed */
async function rounds(first: number): Promise<void> {
  if (!isOpenEnded) {
    const count = number('rounds', options.rounds ?? '4');
    for (let i = 0; i < count; i++) await round(first + i);
    return;
  }
  const end = options.hours === undefined ? Infinity : performance.now() + number('hours', options.hours) * 3_600_000;
  const wanted = end < Infinity ? Infinity : number('holds', options.holds ?? `${WANTED_HOLDS}`);
  for (let seed = first; tally.holds < wanted && performance.now() < end; seed++) await round(seed);
}

async function tableOf(only: string): Promise<void> {
  if (backend === 'dflockd') return table(only);
  const common = { locks: number('locks', options.locks), only, write: options.write };
  const kept = await (backend === 'redis'
    ? runRedisLab({ ...common, contestants: options.only?.split(',') })
    : runPostgresLab(common));
  failed ||= !kept;
}

if (options.help) process.stdout.write(HELP);
else if (options.table !== undefined) await tableOf(options.table);
else if (options.seed && isOpenEnded) await rounds(number('seed', options.seed[0]!));
else if (options.seed) for (const seed of options.seed) await round(number('seed', seed));
else {
  await tableOf('');
  // Another part of the space with every run; a failure prints what repeats it.
  await rounds(Math.floor(Math.random() * 1e9));
}
if (!options.help) {
  if (backend === 'dflockd' || tally.rounds > 0) console.log(`\n${tally.summary()}`);
  if (isOpenEnded) console.log(`Faults: ${tally.faultCounts()}.`);
  if (options.write && backend === 'dflockd') await writePage(measured, tally);
}
process.exit(failed ? 1 : 0);
