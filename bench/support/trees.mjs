import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The full name of a commit. @param {string} root of the repository @param {string} revision */
export async function commitOf(root, revision) {
  try {
    const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`];
    return (await run('git', args, { cwd: root })).stdout.trim();
  } catch (cause) {
    throw new Error(`there is no commit "${revision}"`, { cause });
  }
}

/**
 * Copies of the source in a temporary folder, each built there by its own script, with the node_modules of the working
 * tree. The working tree and its `dist` do not change.
 */
export class SourceTrees {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'bench-trees-'));
  #root;
  #signal;

  /** @param {string} root of the repository @param {AbortSignal} signal stops a running build */
  constructor(root, signal) {
    this.#root = root;
    this.#signal = signal;
  }

  /** @param {string} name of the copy @param {string} commit @returns {Promise<string>} the folder of its ESM build */
  async checkOut(name, commit) {
    await this.#git('worktree', 'add', '--quiet', '--detach', join(this.folder, name), commit);
    return this.#build(name);
  }

  /** Copies the working tree, uncommitted changes included. @returns {Promise<string>} the folder of its ESM build */
  async copy(name) {
    const listed = await this.#git('ls-files', '-z', '--cached', '--others', '--exclude-standard');
    for (const file of listed.split('\0')) {
      const from = join(this.#root, file);
      if (file !== '' && existsSync(from)) cpSync(from, join(this.folder, name, file));
    }
    return this.#build(name);
  }

  /** Removes all copies, and their entries in git. Idempotent. */
  async remove() {
    try {
      const listed = await this.#git('worktree', 'list', '--porcelain', '-z');
      const own = listed.split('\0').filter((text) => text.startsWith(`worktree ${this.folder}/`));
      for (const text of own) await this.#git('worktree', 'remove', '--force', text.slice('worktree '.length));
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  async #git(...args) {
    return (await run('git', args, { cwd: this.#root })).stdout;
  }

  async #build(name) {
    const tree = join(this.folder, name);
    symlinkSync(join(this.#root, 'node_modules'), join(tree, 'node_modules'));
    const { code, said } = await this.#runAll(process.execPath, ['scripts/build.mjs'], tree);
    this.#signal.throwIfAborted();
    if (code !== 0) throw new Error(`${name} does not build:\n${said}`);
    return join(tree, 'dist/esm');
  }

  /** Resolves when the process and its children have exited. A compiler left running would keep writing files. */
  async #runAll(file, args, cwd) {
    this.#signal.throwIfAborted();
    const child = spawn(file, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    const stop = () => process.kill(-child.pid, 'SIGKILL');
    this.#signal.addEventListener('abort', stop, { once: true });
    try {
      // By then, their output has been closed.
      const [code] = await once(child, 'close');
      return { code, said };
    } finally {
      this.#signal.removeEventListener('abort', stop);
    }
  }
}
