import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Both builds of the package as the compiler makes them, for programs that load more than one copy of it. */
export class TwoBuilds {
  private constructor(private readonly folder: string) {}

  static async make(): Promise<TwoBuilds> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-copies-'));
    const compiler = createRequire(import.meta.url).resolve('@typescript/native/package.json');
    const tsc = join(dirname(compiler), 'bin/tsc');
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    for (const [build, type] of [
      ['esm', 'module'],
      ['cjs', 'commonjs'],
    ]) {
      const to = join(folder, build!);
      const options = ['--noCheck', '--declaration', 'false']; // types are checked elsewhere
      await run(process.execPath, [tsc, '-p', `tsconfig.${build}.json`, '--outDir', to, ...options]);
      await writeFile(join(to, 'package.json'), JSON.stringify({ type }));
    }
    return new TwoBuilds(folder);
  }

  /** A copy of a build in which one text of one file is another. */
  async changed(build: string, name: string, file: string, from: string, to: string): Promise<void> {
    if (build !== name) await cp(join(this.folder, build), join(this.folder, name), { recursive: true });
    const path = join(this.folder, name, file);
    const text = await readFile(path, 'utf8');
    if (!text.includes(from)) throw new Error(`${file} does not have ${from}`);
    await writeFile(path, text.replace(from, to));
  }

  /**
   * Runs an ES module beside the builds (`./esm/entries/index.js`, `require('./cjs/entries/index.js')`), which prints one
   * value as JSON.
   */
  async run<T>(program: string, withinMs = 60_000): Promise<T> {
    const file = join(this.folder, `program-${++this.programs}.mjs`);
    await writeFile(
      file,
      `import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);\n${program}`,
    );
    const { stdout } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
      cwd: this.folder,
      timeout: withinMs,
    });
    return JSON.parse(stdout) as T;
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true });
  }

  private programs = 0;
}
