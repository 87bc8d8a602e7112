import { ConfigError } from '../common/errors.js';
import { systemClock } from '../common/system.js';
import { type DflockdServerOptions, resolveServerOptions } from '../daemon/shared/options.js';
import { DflockdServer } from '../daemon/server.js';
import { DAEMON_FLAGS, daemonOptions, flagOf } from './daemon-flags.js';
import { readEnv } from './flags.js';
import { type CommandIo, runCommand } from './run-command.js';
import { slog } from './slog.js';

/**
 * Runs a daemon until the process is asked to stop (spec 7, 8). Resolves with the exit code: 0, or 1 for wrong flags, a
 * wrong configuration or a port that cannot be opened.
 */
export function daemonCommand(args: readonly string[], around: CommandIo): Promise<number> {
  return runCommand({ name: 'daemon', flags: DAEMON_FLAGS, isHelpWrong: true }, args, around, async (flags) => {
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
  });
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
