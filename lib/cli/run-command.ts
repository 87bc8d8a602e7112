import { ConfigError } from '../common/errors.js';
import { type FlagSpec, FlagSyntaxError, type FlagValue, HelpRequested, parseFlags, usage } from './flags.js';

/** What a command uses of the process it runs in. */
export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  /** Calls back once, at the first SIGINT or SIGTERM; later ones are ignored. */
  onStop(callback: () => void): void;
  readonly version: string;
}

/** A command of the command line. */
export interface Command {
  readonly name: string;
  readonly flags: readonly FlagSpec[];
  /** Refuses arguments that are not flags. Default: they are ignored, as by dflockd. */
  readonly isStrict?: boolean;
  /** Explains `--help` like a wrong flag, as dflockd does (spec 7). Default: prints its usage. */
  readonly isHelpWrong?: boolean;
}

/**
 * Runs a command with the values of its flags. Resolves with the exit code: 0 if it only prints its usage (`--help`), 1 for wrong flags
 * and for a ConfigError.
 */
export async function runCommand(
  { name, flags, isStrict, isHelpWrong }: Command,
  args: readonly string[],
  around: CommandIo,
  run: (values: ReadonlyMap<string, FlagValue>) => Promise<number>,
): Promise<number> {
  try {
    return await run(parseFlags(flags, args, isStrict));
  } catch (error) {
    if (error instanceof HelpRequested && !isHelpWrong) {
      around.out(`${usage(name, flags)}\n`);
      return 0;
    }
    if (error instanceof FlagSyntaxError || error instanceof HelpRequested)
      around.err(`${error.message}\n${usage(name, flags)}\n`);
    else if (error instanceof ConfigError) around.err(`${error.message}\n`);
    else throw error;
    return 1;
  }
}
