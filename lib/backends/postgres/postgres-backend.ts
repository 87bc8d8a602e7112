import type { BackendFactory } from '../backend.js';
import { CommandConnection } from './commands/command-connection.js';
import { WaitConnections } from './commands/wait-connections.js';
import { type PostgresBackendOptions, resolvePostgres } from './options.js';
import { PostgresBackend } from './postgres.js';
import type { PostgresStats } from './postgres-stats.js';
import { Dialer } from './sessions/dialer.js';
import { type PostgresSource, recogniseSource } from './sessions/source.js';

/**
 * Locks in the Postgres (14 or later) that an application already has. For the option `backend` of a client or of the module.
 *
 * The backend has connections of its own: one for each `LockClient`, and up to `maxWaitConnections` (5) more while callers wait. It
 * creates nothing in the database and needs no right beyond CONNECT. A Pool is only asked for its configuration; its connections are
 * not used, and it is not closed.
 * @param source a connection string, a configuration for `pg`, or a Pool of `pg` 8 or later
 * @throws ConfigError for anything else, and for wrong options
 *
 * @example
 * ```ts
 * DflockdModule.forRoot({ backend: postgresBackend(process.env.DATABASE_URL) });
 * ```
 */
export function postgresBackend(
  source: PostgresSource | undefined,
  options: PostgresBackendOptions = {},
): BackendFactory<PostgresStats> {
  const config = resolvePostgres(options);
  const clients = recogniseSource(source);
  return (host) => {
    const dialer = new Dialer(clients, config, host);
    const commands = new CommandConnection(dialer, host, config);
    const waitSessions = new WaitConnections(dialer, commands, host.clock, config);
    return new PostgresBackend(config, { dialer, commands, waitSessions }, host);
  };
}
