import { readdirSync } from 'node:fs';
import { join } from 'node:path';
// @ts-expect-error -- plain JavaScript, shared with the script that starts this
import { folderOf } from '../../scripts/mutation-folders.mjs';

/**
 * The specs of a folder as one: jest loads a module once for each spec file, and mutation testing runs them thousands of
 * times. Names are told by `npm run mutation`.
 */
const folders = folderOf(process.env['MUTATION_FOLDER']) as { in: string; but: RegExp }[];
for (const folder of folders) {
  const specs = readdirSync(folder.in).filter((name) => name.endsWith('.spec.ts') && !folder.but.test(name));
  for (const spec of specs) await import(join('../..', folder.in, spec));
}
