// `npm start` builds what is missing and runs the first sample; `npm start -- 03` runs another one. With `--once` the
// sample checks itself and exits; `npm start -- --all --once` does so for all samples.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compile, root } from './samples/compile.mjs';
import * as quickStart from './samples/quick-start.mjs';
import { run } from './samples/run.mjs';

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
  if (name === first) return once ? quickStart.check() : quickStart.start();
  return run(folder, once);
}

for (const name of all ? samples : [sample]) {
  if (all) console.log(`\n== ${name}`);
  if (!(await runOne(name))) {
    console.error(`sample/${name} has failed`);
    process.exit(1);
  }
}
process.exit(0);
