// The package as it would be published.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './commands.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** @returns the path of the tarball */
export async function pack(folder) {
  const options = ['--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', folder];
  const packed = JSON.parse(await run(root, 'npm', ['pack', ...options]));
  // npm before 12 prints an array, later versions an object by name.
  const [{ filename }] = Array.isArray(packed) ? packed : Object.values(packed);
  return join(folder, filename);
}
