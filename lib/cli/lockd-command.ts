import { type Ms, systemClock } from '../common/system.js';
import { LockdServer } from '../daemon/lockd/lockd-server.js';
import { hostPort } from '../daemon/shared/open-port.js';
import { parseLockdAddress } from '../protocol/lockd/address.js';
import { LOCKD_PORT } from '../protocol/lockd/limits.js';
import type { FlagSpec } from './flags.js';
import { type CommandIo, runCommand } from './run-command.js';
import { slog } from './slog.js';

/** How long clients may keep their locks after the process was asked to stop: as with the daemon. */
const SHUTDOWN_MS: Ms = 30_000;

/** The flags of the `lockd` command: those of lockd that concern its port. */
export const LOCKD_FLAGS: readonly FlagSpec[] = [
  { name: 't', type: 'string', help: `[host:]port to listen on (default 127.0.0.1:${LOCKD_PORT})` },
  { name: 'disable-dump', type: 'bool', help: 'clients may not list who holds what' },
  { name: 'disable-registry', type: 'bool', help: 'clients may not give themselves names' },
];

/** Runs a server for clients of lockd until the process is asked to stop. Resolves with the exit code. */
export function lockdCommand(args: readonly string[], around: CommandIo): Promise<number> {
  return runCommand({ name: 'lockd', flags: LOCKD_FLAGS }, args, around, async (flags) => {
    const address = parseLockdAddress(flags.get('t') ?? LOCKD_PORT, 0);
    const features = { dump: flags.get('disable-dump') !== true, registry: flags.get('disable-registry') !== true };
    const logger = slog(systemClock, false, (line) => around.err(line));
    const server = new LockdServer({ ...address, ...features }, { logger });
    const stop = new Promise<void>((resolve) => around.onStop(resolve));
    const { host, port } = await server.listen();
    around.out(`Listening on ${JSON.stringify({ tcp: hostPort(host, port) })}\n`);
    await stop;
    await server.shutDown(SHUTDOWN_MS);
    return 0;
  });
}
