import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { chown } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Postgres and PgBouncer refuse to run as root: then they run as nobody. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** The kernel ends the process when its test process dies, however it dies: SIGQUIT makes Postgres leave nothing. */
const canTether =
  process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'QUIT', 'true'], user).status === 0;

/** Where there is no setpriv. */
const running = new Set<ChildProcess>();
if (!canTether) process.once('exit', () => running.forEach((child) => child.kill('SIGQUIT')));

/** Neither PGHOST and its like, nor the language of who runs the tests. */
const environment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name))),
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** Gives a file or a folder to the user as whom servers run. */
export async function hand(path: string): Promise<void> {
  if (isRoot) await chown(path, NOBODY, NOBODY);
}

/** Runs a program to its end, as an ordinary user. Rejects, with what it said, unless it exits with 0. */
export async function runProgram(command: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(command, args, { env: environment, cwd: '/', ...user });
}

/** A server in the foreground, as an ordinary user. */
export class Child {
  private readonly process: ChildProcess;
  private log = '';
  /** Resolves when the process has ended and nobody holds its output any more. */
  readonly ended: Promise<void>;

  constructor(command: string, args: readonly string[]) {
    const [program, ...rest] = canTether ? ['setpriv', '--pdeathsig', 'QUIT', command, ...args] : [command, ...args];
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
      cwd: '/',
      ...user,
    });
    this.process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    }
    running.add(child);
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.log += String(error);
        resolve();
      });
      child.once('close', () => {
        running.delete(child);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.process.pid!;
  }

  get isRunning(): boolean {
    return this.process.pid !== undefined && this.process.exitCode === null && this.process.signalCode === null;
  }

  /** What it has said so far. */
  get output(): string {
    return this.log;
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }
}
