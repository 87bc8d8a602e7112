// Builds the package and compiles a sample, if their sources are newer than the output.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const tsc = join(dirname(createRequire(import.meta.url).resolve('@typescript/native/package.json')), 'bin/tsc');
const node = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });

function outdated(made, sources) {
  if (!existsSync(made)) return true;
  const since = statSync(made).mtimeMs;
  const newer = (path) =>
    statSync(path).isDirectory()
      ? readdirSync(path).some((name) => name !== 'dist' && newer(join(path, name)))
      : /\.(ts|json)$/.test(path) && statSync(path).mtimeMs > since;
  return sources.some(newer);
}

/** @param sample the folder of the sample */
export function compile(sample) {
  const built = join(root, 'dist/cjs/package.json');
  if (outdated(built, [join(root, 'lib')])) {
    console.log('building the package');
    node(join(root, 'scripts/build.mjs'));
  }
  const made = join(sample, 'dist/app.module.js');
  // With tsc: Nest needs decorator metadata, which other compilers omit.
  if (outdated(made, [sample, built])) {
    console.log(`compiling ${sample.slice(root.length + 1)}`);
    node(tsc, '-p', sample);
  }
}
