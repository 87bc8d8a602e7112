// `npm start`: builds what is missing and runs the first sample; `npm start -- 03` another one. With `--once` it checks
// itself and exits; `npm start -- --all --once` has all of them do so, without those that need a Redis or a Postgres
// where there is none. `npm start -- 09 --once --wrong` also shows what goes wrong.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findPostgres, postgresIsRequired } from './postgres-server.mjs';
import { findRedis, redisIsRequired } from './redis-server.mjs';
import { compile, root } from './samples/compile.mjs';
import { needsPostgres } from './samples/postgres.mjs';
import { needsRedis } from './samples/redis.mjs';
import { run } from './samples/run.mjs';
import * as twoInstances from './samples/two-instances.mjs';

const samples = readdirSync(join(root, 'sample')).filter((name) => /^\d\d-/.test(name));
const first = samples[0];

const args = process.argv.slice(2);
const once = args.includes('--once');
const all = args.includes('--all');
const wrong = args.includes('--wrong');
const [wanted = first, ...more] = args.filter((argument) => !['--once', '--all', '--wrong'].includes(argument));
const sample = samples.find((name) => name === wanted || name.split('-')[0] === wanted.padStart(2, '0'));
if (more.length > 0 || !sample || (all && !once) || (wrong && !(once && needsPostgres(sample)))) {
  console.error(`usage: npm start -- [${samples.join(' | ')}] [--once], 09 --once --wrong, or --all --once`);
  process.exit(2);
}

async function runOne(name) {
  const folder = join(root, 'sample', name);
  compile(folder);
  if (twoInstances.hasTwoInstances(folder))
    return once ? twoInstances.check(folder, { wrong }) : twoInstances.start(folder);
  return run(folder, once);
}

/** What a sample needs and is not here, or undefined. */
function missing(name) {
  if (needsRedis(name) && !findRedis() && !redisIsRequired()) return 'a redis-server';
  const hasPostgres = () => process.env.DATABASE_URL || Object.keys(findPostgres()).length > 0;
  return needsPostgres(name) && !hasPostgres() && !postgresIsRequired() ? 'a Postgres server' : undefined;
}

for (const name of all ? samples : [sample]) {
  if (all) console.log(`\n== ${name}`);
  const lacking = all ? missing(name) : undefined;
  if (lacking) {
    console.log(`left out, without ${lacking}`);
    continue;
  }
  if (!(await runOne(name))) {
    console.error(`sample/${name} has failed`);
    process.exit(1);
  }
}
process.exit(0);
