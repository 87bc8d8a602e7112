import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, shared with the script that starts this
import { folderOf } from '../../scripts/mutation-folders.mjs';

interface Block {
  readonly children: Block[];
}

/** Set by environment.cjs. */
const { circusState } = globalThis as unknown as { circusState: { currentDescribeBlock: Block } };

/** A spec has hooks of its own: in a file of many specs they must not run for the tests of others. */
async function importInto(name: string, path: string): Promise<void> {
  const outer = circusState.currentDescribeBlock;
  describe(name, () => undefined);
  circusState.currentDescribeBlock = outer.children.at(-1)!;
  try {
    await import(path);
  } finally {
    circusState.currentDescribeBlock = outer;
  }
}

/**
 * The specs of a folder as one: jest loads a module once for each spec file, and mutation testing runs them thousands of
 * times. Names are told by `npm run mutation`.
 */
const wanted = new RegExp(process.env['MUTATION_SPECS'] ?? '');
const folders = folderOf(process.env['MUTATION_FOLDER']) as { in: string; but: RegExp }[];
for (const folder of folders) {
  const specs = readdirSync(folder.in).filter(
    (name) => name.endsWith('.spec.ts') && wanted.test(name) && !folder.but.test(name),
  );
  for (const spec of specs) await importInto(spec, join('../..', folder.in, spec));
}
