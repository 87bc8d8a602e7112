// Writes `exports` and `typesVersions` of package.json: one import path per file of lib/entries. Prints nothing.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** 'index', 'client', 'testing/backend': the names of the entries, the main one first. */
export const ENTRIES = readdirSync(join(root, 'lib/entries'), { recursive: true })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/').replace(/\.ts$/, ''))
  .sort((a, b) => Number(b === 'index') - Number(a === 'index') || a.localeCompare(b));

const target = (system, entry) => ({
  types: `./dist/${system}/entries/${entry}.d.ts`,
  default: `./dist/${system}/entries/${entry}.js`,
});

/** `module-sync` is what require() loads on a Node that can require ES modules, so that a program has only one copy. */
export const exportsOf = (entries) => ({
  ...Object.fromEntries(
    entries.map((entry) => [
      entry === 'index' ? '.' : `./${entry}`,
      { 'module-sync': target('esm', entry), import: target('esm', entry), require: target('cjs', entry) },
    ]),
  ),
  './package.json': './package.json',
});

/** For compilers that do not read `exports` (moduleResolution node10). */
export const typesVersionsOf = (entries) => ({
  '*': Object.fromEntries(
    entries.filter((entry) => entry !== 'index').map((entry) => [entry, [`./dist/cjs/entries/${entry}.d.ts`]]),
  ),
});

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = join(root, 'package.json');
  const description = JSON.parse(readFileSync(path, 'utf8'));
  description.exports = exportsOf(ENTRIES);
  description.typesVersions = typesVersionsOf(ENTRIES);
  writeFileSync(path, JSON.stringify(description, null, 2) + '\n');
}
