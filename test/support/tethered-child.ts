import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

export interface TetheredChildOptions {
  /** What ends the child when the test process ends. Default: SIGKILL */
  readonly tether?: 'SIGKILL' | 'SIGQUIT';
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/** The kernel ends a child when its test process dies, however it dies. */
const canTether = process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0;

/** Where there is no setpriv. */
const running = new Map<ChildProcess, NodeJS.Signals>();
if (!canTether) process.once('exit', () => running.forEach((signal, child) => child.kill(signal)));

/** A program in the foreground that does not outlive the test process. */
export class TetheredChild {
  private readonly process: ChildProcess;
  private log = '';
  /** Resolves when the process has ended and nobody holds its output any more. */
  readonly ended: Promise<void>;

  constructor(command: string, args: readonly string[], options: TetheredChildOptions = {}) {
    const { tether = 'SIGKILL', ...rest } = options;
    const behind = canTether ? ['setpriv', '--pdeathsig', tether.slice(3)] : [];
    const [program, ...all] = [...behind, command, ...args];
    const child = spawn(program!, all, { ...rest, stdio: ['ignore', 'pipe', 'pipe'] });
    this.process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    }
    running.set(child, tether);
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
