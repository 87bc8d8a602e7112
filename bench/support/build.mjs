import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The folder of the ESM build; builds the package if necessary. @param {string} [given] another build */
export function buildFolder(given) {
  if (given !== undefined) return resolve(given);
  const folder = join(root, 'dist/esm');
  if (!existsSync(join(folder, 'entries/daemon.js'))) {
    execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
  }
  return folder;
}
