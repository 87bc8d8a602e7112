import { ConfigError } from '../common/errors.js';
import { systemClock } from '../common/system.js';
import { type DflockdServerOptions, resolveServerOptions } from '../daemon/shared/options.js';
import { DflockdServer } from '../daemon/server.js';
import { DAEMON_FLAGS, daemonOptions, flagOf } from './daemon-flags.js';
import { FlagSyntaxError, parseFlags, readEnv, usage } from './flags.js';
import { slog } from './slog.js';

/** What a command uses of the process it runs in. */
export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  /** Calls back once, at the first SIGINT or SIGTERM; later ones are ignored. */
  onStop(callback: () => void): void;
  readonly version: string;
}

/**
 * Runs a daemon until the process is asked to stop (spec 7, 8). Resolves with the exit code: 0, or 1 for wrong flags, a
 * wrong configuration or a port that cannot be opened.
 */
export async function daemonCommand(args: readonly string[], around: CommandIo): Promise<number> {
  try {
    const flags = parseFlags(DAEMON_FLAGS, args);
    const env = readEnv(DAEMON_FLAGS, around.env, (text) => around.err(`${text}\n`));
    const debug = (flags.get('debug') ?? env.get('debug')) === true;
    const log = slog(systemClock, debug, (line) => around.err(line));
    const options = daemonOptions(flags, env);
    check(options);
    const server = new DflockdServer(options, { logger: log });
    if (flags.get('version') === true) {
      around.out(`${around.version}\n`);
      return 0;
    }
    const stop = new Promise<void>((resolve) => around.onStop(resolve));
    await server.listen();
    await stop;
    await server.close();
    return 0;
  } catch (error) {
    if (error instanceof FlagSyntaxError) around.err(`${error.message}\n${usage('daemon', DAEMON_FLAGS)}\n`);
    else if (error instanceof ConfigError) around.err(`${error.message}\n`);
    else throw error;
    return 1;
  }
}

/** Checks the options; the error names flags instead of options. */
function check(options: DflockdServerOptions): void {
  try {
    resolveServerOptions(options, (option) => `flag -${flagOf(option)}`);
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(`configuration error: ${error.message}`, { cause: error });
    throw error;
  }
}
