// `npm start`: builds what is missing and runs sample/01-quick-start. `npm start -- --once`: drives it and exits.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sample = join(root, 'sample/01-quick-start');
const tsc = join(dirname(createRequire(import.meta.url).resolve('@typescript/native/package.json')), 'bin/tsc');
const node = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });

const unknown = process.argv.slice(2).filter((argument) => argument !== '--once');
if (unknown.length > 0) {
  console.error(`unknown argument ${unknown.join(' ')}; there is only --once`);
  process.exit(2);
}

/** Whether a source is newer than what was made of it. */
function outdated(made, sources) {
  if (!existsSync(made)) return true;
  const since = statSync(made).mtimeMs;
  const newer = (path) =>
    statSync(path).isDirectory()
      ? readdirSync(path).some((name) => name !== 'dist' && newer(join(path, name)))
      : /\.(ts|json)$/.test(path) && statSync(path).mtimeMs > since;
  return sources.some(newer);
}

if (outdated(join(root, 'dist/cjs/package.json'), [join(root, 'lib')])) {
  console.log('building the package');
  node(join(root, 'scripts/build.mjs'));
}
// With tsc: Nest needs the decorator metadata that other compilers leave out.
if (outdated(join(sample, 'dist/main.js'), [sample, join(root, 'dist/cjs/package.json')])) {
  console.log('compiling the sample');
  node(tsc, '-p', sample);
}

if (process.argv.includes('--once')) {
  const { tour } = await import('../sample/01-quick-start/tour/tour.mjs');
  process.exit((await tour()) ? 0 : 1);
}

const { startInstances } = await import('../sample/01-quick-start/tour/instances.mjs');
const instances = await startInstances((line, instance) => console.log(`[${instance}] ${line}`), true);
const [first, second] = instances.urls;
const withdrawals = (path) =>
  `seq 25 | xargs -P25 -I_ curl -s -o /dev/null -o /dev/null -X POST '${first}/accounts/${path}?amount=10' '${second}/accounts/${path}?amount=10'`;
console.log(`
Two instances share one lock daemon (${instances.daemon}, inside the first). Try:

  # 50 withdrawals of 10 from 1000 over both, without the lock and with it
  ${withdrawals('anna/withdraw-unlocked')}; curl ${first}/accounts/anna
  ${withdrawals('ben/withdraw')}; curl ${second}/accounts/ben

  # a report takes 5 seconds; meanwhile the other instance answers 423
  curl -s -X POST ${first}/reports & sleep 0.2; curl -i -X POST ${second}/reports

  # each second is here once, with the instance that ran it
  tail -f ${join(instances.data, 'ticks.log')}

Ctrl-C ends both.
`);

let asked = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    asked = true;
    void instances.stop().then(() => process.exit(0));
  });
}
await instances.ended;
if (!asked) {
  console.error('an instance has ended');
  await instances.stop();
  process.exit(1);
}
