import { spawnSync } from 'node:child_process';

/** The descriptor that the commands get. */
const HANDED = 3;
const PATIENCE_MS = 10_000;
const LOCKED = 0;
const BUSY = 1;

/** A command that calls flock(2) on a descriptor it inherits; exit code 0: locked, 1: another has the lock. */
export interface LockCommand {
  readonly command: string;
  readonly args: readonly string[];
}

const PERL =
  `open(my $file, '+<&=', ${HANDED}) or exit 2; ` +
  'use Fcntl ":flock"; flock($file, LOCK_EX | LOCK_NB) and exit 0; exit($!{EWOULDBLOCK} ? 1 : 2);';

/** Of util-linux and BusyBox; and for systems such as macOS, which have none. */
export const LOCK_COMMANDS: readonly LockCommand[] = [
  { command: 'flock', args: ['-n', '-x', String(HANDED)] },
  { command: 'perl', args: ['-e', PERL] },
];

/** locked: until the descriptor is closed, or the process is gone, however it ends. */
export type LockOutcome = 'locked' | 'busy' | { readonly impossible: string };

/**
 * Takes an exclusive flock(2) on an open file. Node has no such call, but a flock belongs to the open file that a
 * descriptor stands for: a command that inherits the descriptor takes the lock, and this process keeps it when the command
 * has ended. The kernel drops it when this process closes the descriptor or dies.
 */
export function lockFile(descriptor: number, commands: readonly LockCommand[] = LOCK_COMMANDS): LockOutcome {
  if (process.platform === 'win32') return { impossible: 'Windows has no flock' };
  const failures: string[] = [];
  for (const { command, args } of commands) {
    const outcome = run(command, args, descriptor);
    if (outcome === 'locked' || outcome === 'busy') return outcome;
    failures.push(`${command}: ${outcome.impossible}`);
  }
  return { impossible: failures.join('; ') };
}

function run(command: string, args: readonly string[], descriptor: number): LockOutcome {
  try {
    const { PATH } = process.env;
    const { status, signal, error } = spawnSync(command, args, {
      stdio: ['ignore', 'ignore', 'ignore', descriptor],
      timeout: PATIENCE_MS,
      env: PATH === undefined ? {} : { PATH },
    });
    if (error) return { impossible: (error as NodeJS.ErrnoException).code ?? error.message };
    if (status === LOCKED) return 'locked';
    return status === BUSY ? 'busy' : { impossible: signal ?? `exit code ${status}` };
  } catch (error) {
    // Node's permission model refuses to start other programs.
    return { impossible: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}
