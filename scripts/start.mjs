// `npm start`: builds what is missing and runs the first sample; `npm start -- 03` another one. With `--once` it checks
// itself and exits; `npm start -- --all --once` has all of them do so, without those that need Redis where there is none.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findRedis, redisIsRequired } from './redis-server.mjs';
import { compile, root } from './samples/compile.mjs';
import { needsRedis } from './samples/redis.mjs';
import { run } from './samples/run.mjs';
import * as twoInstances from './samples/two-instances.mjs';

const samples = readdirSync(join(root, 'sample')).filter((name) => /^\d\d-/.test(name));
const first = samples[0];

const args = process.argv.slice(2);
const once = args.includes('--once');
const all = args.includes('--all');
const [wanted = first, ...more] = args.filter((argument) => !['--once', '--all'].includes(argument));
const sample = samples.find((name) => name === wanted || name.split('-')[0] === wanted.padStart(2, '0'));
if (more.length > 0 || !sample || (all && !once)) {
  console.error(`usage: npm start -- [${samples.join(' | ')}] [--once], or --all --once`);
  process.exit(2);
}

async function runOne(name) {
  const folder = join(root, 'sample', name);
  compile(folder);
  if (twoInstances.hasTwoInstances(folder)) return once ? twoInstances.check(folder) : twoInstances.start(folder);
  return run(folder, once);
}

for (const name of all ? samples : [sample]) {
  if (all) console.log(`\n== ${name}`);
  if (all && needsRedis(name) && !findRedis() && !redisIsRequired()) {
    console.log('left out, without a redis-server');
    continue;
  }
  if (!(await runOne(name))) {
    console.error(`sample/${name} has failed`);
    process.exit(1);
  }
}
process.exit(0);
