import { ConfigError, LockUnavailableError } from '../../../common/errors.js';
import type { ServerFacts } from './session.js';
import type { PgSession } from './pg-session.js';
import { ESSENTIAL, type Settings, TRANSACTION_TIMEOUT } from './settings.js';
import { sqlStateOf } from './sql-errors.js';

/** What a new session tells about itself and its server. */
export interface Look extends Omit<ServerFacts, 'isPooled'> {
  readonly pid: number;
  readonly backendStart: string;
  /** What `version()` says: names forks. */
  readonly fullVersion: string;
  readonly isStandby: boolean;
  readonly settings: Settings;
}

const OLDEST = 140_000;

const NAMES = [...ESSENTIAL, TRANSACTION_TIMEOUT].map((name) => `'${name}'`).join(', ');
const LOOK = `
  select pg_backend_pid(),
    to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00',
    current_setting('server_version_num'), current_setting('server_version'), version(), pg_is_in_recovery(),
    current_setting('max_connections'),
    current_setting('max_locks_per_transaction')::bigint
      * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint),
    (select string_agg(s.name || '=' || s.setting, chr(10)) from pg_settings s where s.name in (${NAMES}))
  from (select pg_backend_pid() as pid) me left join pg_stat_activity a on a.pid = me.pid`;

/** Whose identity it is. A function that the role may not call fails even where it is not reached. */
const IDENTITY = `
  select s.system_identifier, c.timeline_id from pg_control_system() s, pg_control_checkpoint() c`;

/**
 * Asks a new session what it is.
 * @throws ConfigError if the server is no Postgres of at least version 14; LockUnavailableError
 */
export async function look(session: PgSession): Promise<Look> {
  const { server } = session;
  const [row] = await session.ask(LOOK).catch((error: unknown) => {
    // What a fork does not have: a function, a table, a type, a setting, syntax.
    if (!sqlStateOf(error)?.match(/^(42|0A|22)/)) throw error;
    throw new ConfigError(`${server} does not answer as Postgres does; postgresBackend needs Postgres 14 or later`, {
      cause: error,
      server,
    });
  });
  const [pid, backendStart, number, version, fullVersion, isStandby, maxConnections, lockTableSize, settings] = row!;
  const versionNumber = Number(number);
  if (!(versionNumber >= OLDEST)) throw tooOld(server, version ?? '');
  return {
    pid: Number(pid),
    backendStart: backendStart ?? '',
    versionNumber,
    version: (version ?? '').split(' ')[0]!,
    fullVersion: fullVersion ?? '',
    isStandby: isStandby === 't',
    maxConnections: Number(maxConnections),
    lockTableSize: Number(lockTableSize),
    settings: Object.fromEntries((settings ?? '').split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2))),
    ...(await identityOf(session)),
  };
}

async function identityOf(session: PgSession): Promise<Pick<Look, 'systemIdentifier' | 'timeline'>> {
  try {
    const [row] = await session.ask(IDENTITY);
    const [systemIdentifier, timeline] = row ?? [];
    return { systemIdentifier: systemIdentifier ?? undefined, timeline: timeline ? Number(timeline) : undefined };
  } catch (error) {
    if (sqlStateOf(error) === undefined || session.isEnded) throw error;
    return { systemIdentifier: undefined, timeline: undefined };
  }
}

/** @param version as far as it is known */
export const tooOld = (server: string, version?: string): ConfigError =>
  new ConfigError(
    `postgresBackend needs Postgres 14 or later, whose idle_session_timeout frees the locks of a process that has gone; ` +
      `the server at ${server} ${version ? `is ${version}` : 'does not know that setting'}`,
    { server },
  );

export const standby = (server: string): LockUnavailableError =>
  new LockUnavailableError(
    `Postgres at ${server} is a standby, whose locks protect nothing; the address of the primary is needed`,
    { server },
  );
