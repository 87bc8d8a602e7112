import { execFile } from 'node:child_process';
import { chown } from 'node:fs/promises';
import { promisify } from 'node:util';
import { TetheredChild } from '../tethered-child.js';

/** Postgres and PgBouncer refuse to run as root: then they run as nobody. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

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

/** A server in the foreground, as an ordinary user. SIGQUIT makes Postgres leave nothing. */
export class Child extends TetheredChild {
  constructor(command: string, args: readonly string[]) {
    super(command, args, { tether: 'SIGQUIT', env: environment, cwd: '/', ...user });
  }
}
