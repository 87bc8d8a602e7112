import { chmod, mkdir, mkdtemp, realpath, rename, rm, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CACHE, programOf } from './binary.js';
import { hand, runProgram } from './child.js';

/** A folder in the temporary folder that belongs to the user as whom servers run. */
export async function folderFor(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${name}-`));
  await chmod(folder, 0o755);
  await hand(folder);
  return folder;
}

/**
 * Fills `data` as initdb does. That takes a second, so a copy is kept for each server: all clusters made from it have the
 * same system identifier, as a primary and its standbys must.
 * @param isFresh an initdb of its own
 */
export async function fillData(version: number | undefined, data: string, isFresh: boolean): Promise<void> {
  if (isFresh || CACHE === undefined) return initialise(version, data);
  await runProgram('cp', ['-R', await templateOf(version, CACHE), data]);
  await runProgram('chmod', ['700', data]);
}

async function initialise(version: number | undefined, data: string): Promise<void> {
  const as = ['-U', 'postgres', '-A', 'trust', '--locale=C', '--encoding=UTF8', '--no-sync'];
  await runProgram(programOf(version, 'initdb'), ['-D', data, ...as]);
}

async function templateOf(version: number | undefined, cache: string): Promise<string> {
  const program = await realpath(programOf(version, 'postgres'));
  const { mtimeMs, size } = await stat(program);
  const name = createHash('sha256').update(`${program} ${mtimeMs} ${size}`).digest('hex').slice(0, 16);
  const template = join(cache, `data-${name}`);
  if (await isThere(template)) return join(template, 'data');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(`${template}-`);
  try {
    await hand(folder);
    await initialise(version, join(folder, 'data'));
    await rename(folder, template);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    // Another test process was quicker.
    if (!(await isThere(template))) throw error;
  }
  return join(template, 'data');
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
