import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../support/until.js';
// @ts-expect-error -- plain JavaScript, for a script
import * as trees from '../../../bench/support/trees.mjs';

interface SourceTrees {
  readonly folder: string;
  checkOut(name: string, commit: string): Promise<string>;
  copy(name: string): Promise<string>;
  remove(): Promise<void>;
}
const SourceTrees = trees.SourceTrees as new (root: string, signal: AbortSignal) => SourceTrees;
const commitOf = trees.commitOf as (root: string, revision: string) => Promise<string>;

const BUILD = `
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs';
const compiler = "require('fs').writeFileSync('compiler', '' + process.pid); setInterval(() => {}, 1000)";
const text = readFileSync('lib/text', 'utf8');
if (text === 'hangs') execFileSync(process.execPath, ['-e', compiler], { stdio: 'inherit' });
else if (text === 'broken') { console.log('lib/text(1,1): error'); process.exitCode = 1; }
else { mkdirSync('dist/esm', { recursive: true }); writeFileSync('dist/esm/text', text); }
`;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('SourceTrees', () => {
  let root: string;
  let made: SourceTrees;
  let stop: AbortController;

  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: root,
      encoding: 'utf8',
    });
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  const worktrees = (): number => git('worktree', 'list').trim().split('\n').length;
  const built = (folder: string): string => readFileSync(join(folder, 'text'), 'utf8');

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'trees-spec-'));
    write('scripts/build.mjs', BUILD);
    write('lib/text', 'first');
    write('lib/gone', '');
    write('.gitignore', 'node_modules/\ndist/\n');
    write('node_modules/thing/index.js', '');
    git('init', '--quiet');
    git('add', '.');
    git('commit', '--quiet', '-m', 'first');
    stop = new AbortController();
    made = new SourceTrees(root, stop.signal);
  });

  afterEach(async () => {
    await made.remove();
    rmSync(root, { recursive: true });
  });

  it('builds a commit beside the working tree, which it leaves alone', async () => {
    write('lib/text', 'second');
    write('lib/new', '');
    rmSync(join(root, 'lib/gone'));
    const base = await made.checkOut('base', await commitOf(root, 'HEAD'));
    const candidate = await made.copy('candidate');
    expect(built(base)).toBe('first');
    expect(built(candidate)).toBe('second');
    expect(existsSync(join(candidate, '../../lib/new'))).toBe(true);
    expect(existsSync(join(candidate, '../../lib/gone'))).toBe(false);
    expect(existsSync(join(base, '../../node_modules/thing/index.js'))).toBe(true);
    expect(existsSync(join(root, 'dist'))).toBe(false);
  });

  it('leaves no worktree, no folder, and the modules it had linked', async () => {
    await made.checkOut('base', await commitOf(root, 'HEAD'));
    await made.copy('candidate');
    expect(worktrees()).toBe(2);
    await made.remove();
    expect(worktrees()).toBe(1);
    expect(existsSync(made.folder)).toBe(false);
    expect(existsSync(join(root, 'node_modules/thing/index.js'))).toBe(true);
  });

  it('says what the compiler said when a tree does not build, and can still be removed', async () => {
    write('lib/text', 'broken');
    await expect(made.copy('candidate')).rejects.toThrow('candidate does not build:\nlib/text(1,1): error');
    await made.remove();
    expect(existsSync(made.folder)).toBe(false);
  });

  it('stops a build that is under way, and the compiler that it has started', async () => {
    write('lib/text', 'hangs');
    const building = made.copy('candidate');
    const file = join(made.folder, 'candidate/compiler');
    await until(() => existsSync(file) && readFileSync(file, 'utf8') !== '', 'the compiler runs');
    const compiler = Number(readFileSync(file, 'utf8'));
    stop.abort(new Error('stopped'));
    await expect(building).rejects.toThrow('stopped');
    await until(() => !isAlive(compiler), 'the compiler has ended');
    await made.remove();
    expect(existsSync(made.folder)).toBe(false);
  });

  it('names a revision that is none', async () => {
    await expect(commitOf(root, 'no-such')).rejects.toThrow('there is no commit "no-such"');
    await expect(commitOf(root, '--all')).rejects.toThrow('there is no commit "--all"');
  });
});
