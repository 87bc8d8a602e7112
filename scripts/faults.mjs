// Compiles the framework-free half of lib and the faults lab side by side, and runs the lab; with --mutants once for
// each known way of breaking lib, which the lab must notice.
import { transformFile } from '@swc/core';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOMS, usesNest } from '../rooms.mjs';
import { CACHE, findPostgres, NO_POSTGRES, postgresIsRequired, providePostgres } from './postgres-server.mjs';
import { findRedis, NO_REDIS, provideRedis, redisIsRequired } from './redis-server.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Rooms with Nest's decorators need more than this transform, and the lab does not. */
const ROOM_FILES = Object.keys(ROOMS)
  .filter((room) => !usesNest(room))
  .flatMap((room) => filesIn(`lib/${room}`, false));
const COMPILER = {
  jsc: { parser: { syntax: 'typescript', decorators: true }, target: 'es2022' },
  module: { type: 'es6' },
  sourceMaps: false,
};
/** Rounds whose faults are many: a mutant that shows by chance may hide in one of them, above all on a busy machine. */
const MUTANT_SEEDS = [500001, 500002, 500003];
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

function filesIn(part, recursive) {
  return readdirSync(join(root, part), { recursive })
    .filter((name) => /(?<!\.spec)\.ts$|(?<!\.d)\.mts$|\.mjs$/.test(name))
    .map((name) => join(part, name));
}

async function compile(folder) {
  const files = [...ROOM_FILES, ...filesIn('test/support', true), ...filesIn('test/faults', true)];
  await Promise.all(files.map((file) => compileOne(folder, file, join(root, file))));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
}

/** @param source where the text of that file is */
async function compileOne(folder, file, source) {
  const { code } = await transformFile(source, COMPILER);
  const made = join(folder, file.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(made), { recursive: true });
  writeFileSync(made, code);
}

/** Resolves with the exit code and, unless it goes to the terminal, what was said. */
async function runLab(folder, args, stdio = 'inherit') {
  const lab = spawn(process.execPath, [join(folder, 'test/faults/main.js'), ...args], {
    cwd: root,
    env: {
      ...process.env,
      ...(redis && { DFLOCKD_TEST_REDIS_SERVER: redis }),
      DFLOCKD_TEST_POSTGRES_CACHE: CACHE,
      DFLOCKD_TEST_POSTGRES_SERVERS: postgres.map(([version, bin]) => `${version}=${bin}`).join(delimiter),
    },
    stdio: ['ignore', stdio, stdio],
  });
  let said = '';
  for (const stream of [lab.stdout, lab.stderr]) stream?.on('data', (chunk) => (said += chunk));
  const code = await new Promise((resolve) => lab.on('close', (exit) => resolve(exit ?? 1)));
  return { code, said };
}

async function withMutation(folder, { file, from, to }, run) {
  const path = join('lib', file);
  const text = readFileSync(join(root, path), 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${path} has not exactly one "${from}"`);
  const mutated = join(folder, 'mutated.ts');
  writeFileSync(
    mutated,
    text.replace(from, () => to),
  );
  await compileOne(folder, path, mutated);
  try {
    return await run();
  } finally {
    await compileOne(folder, path, join(root, path));
  }
}

/** The server that is not ours on which a mutant shows: 'redis', 'postgres' or undefined. */
function serverOf({ shows }) {
  if (typeof shows === 'string') return { 'rounds on Redis': 'redis', 'rounds on Postgres': 'postgres' }[shows];
  return Object.keys(shows).find((name) => name !== 'row');
}

/** Whether it is here. */
const isHere = { redis: () => redis !== undefined, postgres: () => postgres.length > 0 };

function argsFor(shows, seed) {
  if (shows === 'rounds') return ['--seed', `${seed}`];
  if (shows === 'rounds on Redis') return ['--backend', 'redis', '--seed', `${seed}`];
  if (shows === 'rounds on Postgres') return ['--backend', 'postgres', '--seed', `${seed}`];
  if (shows.row !== undefined) return ['--table', shows.row];
  if (shows.postgres !== undefined) return ['--backend', 'postgres', '--table', shows.postgres, '--locks', '10'];
  return ['--backend', 'redis', '--table', shows.redis, '--only', 'ours,watch', '--locks', '5'];
}

/** What was said that shows the mutant, or undefined and all that was said. */
async function lookFor({ shows, check }, folder) {
  let all = '';
  for (const seed of MUTANT_SEEDS) {
    const { code, said } = await runLab(folder, argsFor(shows, seed), 'pipe');
    const found = new RegExp(`[(, ]${check}: \\d+`).exec(said);
    if (code === 1 && found) return { found: found[0].slice(1), all };
    all += said;
  }
  return { found: undefined, all };
}

/** How many mutants went unnoticed. @param wanted a part of their names */
async function runMutants(folder, backend, wanted) {
  const all = (await import(join(folder, 'test/faults/mutations.js'))).MUTATIONS;
  const isWanted = ({ name }) => wanted === undefined || name.includes(wanted);
  const MUTATIONS = all.filter(
    (mutation) => isWanted(mutation) && (backend === undefined || serverOf(mutation) === backend),
  );
  let unnoticed = 0;
  for (const mutation of MUTATIONS) {
    const { name, check } = mutation;
    const server = serverOf(mutation);
    if (server && !isHere[server]()) {
      console.log(`${name}: left out, without a server of ${server}`);
      continue;
    }
    const { found, all } = await withMutation(folder, mutation, () => lookFor(mutation, folder));
    if (!found) unnoticed++;
    console.log(found ? `${name}: noticed (${found})` : `${name}: NOT NOTICED by ${check}\n${all}`);
  }
  console.log(`\n${MUTATIONS.length - unnoticed} of ${MUTATIONS.length} mutants noticed`);
  return unnoticed;
}

/** Steps the wall clocks of processes. */
async function installFaketime() {
  if (existsSync(FAKETIME)) return;
  console.log('installing libfaketime');
  const [command, ...args] = ['apt-get', 'install', '-y', '-qq', 'libfaketime'];
  const install = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise((resolve) => install.on('close', resolve).on('error', resolve));
  if (code !== 0 || !existsSync(FAKETIME)) throw new Error(`${FAKETIME} is missing: apt-get install libfaketime`);
}

const args = process.argv.slice(2);
const isOn = (backend) => args.includes(`--backend=${backend}`) || args[args.indexOf('--backend') + 1] === backend;
const backend = ['redis', 'postgres'].find(isOn);
const redis = backend === 'redis' ? provideRedis() : findRedis();
if ((backend === 'redis' || redisIsRequired()) && redis === undefined) throw new Error(NO_REDIS);
const postgres = Object.entries(backend === 'postgres' ? providePostgres() : findPostgres());
if ((backend === 'postgres' || postgresIsRequired()) && postgres.length === 0) throw new Error(NO_POSTGRES);
const folder = mkdtempSync(join(tmpdir(), 'dflockd-lab-'));
try {
  await installFaketime();
  await compile(folder);
  const mutants = args.indexOf('--mutants');
  const wanted = args[mutants + 1]?.startsWith('--') ? undefined : args[mutants + 1];
  if (mutants >= 0) process.exitCode = (await runMutants(folder, backend, wanted)) > 0 ? 1 : 0;
  else process.exitCode = (await runLab(folder, args)).code;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
