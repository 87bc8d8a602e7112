import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { daemonCommand } from '../../lib/cli/daemon-command.js';
import { until } from './until.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The command line of the package, compiled into a folder of its own. */
export class CommandLine {
  private constructor(private readonly folder: string) {}

  static async build(): Promise<CommandLine> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'));
    const built = new CommandLine(folder);
    const compiler = join(ROOT, 'node_modules/@typescript/native/bin/tsc');
    const args = [compiler, '-p', join(ROOT, 'tsconfig.esm.json'), '--outDir', join(folder, 'dist/esm')];
    // Its types are checked elsewhere.
    args.push('--noCheck', '--declaration', 'false');
    const output = await new Promise<string>((resolve) =>
      execFile(process.execPath, args, (_, stdout, stderr) => resolve(stdout + stderr)),
    );
    if (!existsSync(built.main)) throw new Error(`the command line was not built:\n${output}`);
    return built;
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }

  /** Starts it; `env` is all the environment it gets. */
  start(args: readonly string[], env: Record<string, string> = {}): Command {
    return new Command(spawn(process.execPath, [this.main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** A compiled file of lib. */
  file(path: string): string {
    return join(this.folder, 'dist/esm', path);
  }

  private get main(): string {
    return this.file('cli/main.js');
  }
}

/** A running command, and what it has printed. */
abstract class Running {
  stdout = '';
  stderr = '';
  protected exitCode: number | null | undefined;
  /** The exit code; null if a signal killed it. */
  abstract readonly exit: Promise<number | null>;

  /** Where the daemon says that it listens. */
  async listening(): Promise<{ host: string; port: number }> {
    const said = await until(
      () => {
        if (this.exitCode !== undefined) throw new Error(`exited with ${this.exitCode}: ${this.stderr}`);
        return /msg=listening addr=(\S+):(\d+)/.exec(this.stderr);
      },
      'the port of the daemon',
      20_000,
    );
    return { host: said[1]!.replace(/^\[|\]$/g, ''), port: Number(said[2]) };
  }

  /** Ends it, however it is. */
  abstract kill(): Promise<void>;
}

/** A command in a process of its own. */
export class Command extends Running {
  readonly exit: Promise<number | null>;

  constructor(private readonly child: ChildProcess) {
    super();
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exit = new Promise((resolve) => child.on('close', (code) => resolve((this.exitCode = code))));
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  async kill(): Promise<void> {
    if (this.exitCode === undefined) this.child.kill('SIGKILL');
    await this.exit;
  }
}

/** A daemon that the command line runs in this process: `args` follow `nestjs-dflockd daemon`. */
export class DaemonCommand extends Running {
  readonly exit: Promise<number>;
  private stop = (): void => undefined;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    super();
    const running = daemonCommand(args, {
      env,
      out: (text) => (this.stdout += text),
      err: (text) => (this.stderr += text),
      onStop: (callback) => (this.stop = callback),
      version: '1.2.3',
    });
    this.exit = running.then((code) => (this.exitCode = code));
  }

  async kill(): Promise<void> {
    this.stop();
    await this.exit;
  }
}
