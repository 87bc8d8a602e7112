import { hostname } from 'node:os';
import type { Ms } from '../../../common/system.js';
import type { SessionKind } from './session.js';

/** The settings of a session, by name, as `pg_settings.setting` shows them. */
export type Settings = Readonly<Record<string, string>>;

/** A command never waits for a lock, except briefly for that of a table. */
const COMMAND_LOCK_TIMEOUT_MS: Ms = 1000;
/** How soon the server notices that a client which waits for a lock has gone. */
const CHECK_INTERVAL_MS: Ms = 1000;
const KEEPALIVE = { idle: 5, interval: 2, count: 2 };
/** The first version with `transaction_timeout`, which ends waits that are longer. */
const WITH_TRANSACTION_TIMEOUT = 170_000;

/** On these it depends whether a holder that has gone frees its locks, and whether waits are cut short. */
export const ESSENTIAL = ['idle_session_timeout', 'statement_timeout', 'lock_timeout', 'search_path'];
/** Of 17 and later. Older versions refuse it, also at the start. */
export const TRANSACTION_TIMEOUT = 'transaction_timeout';

/** What a session asks for. @param unsupported names that the platform of the server does not have */
export function settingsOf(kind: SessionKind, sessionTimeoutMs: Ms, unsupported: ReadonlySet<string>): Settings {
  const all = {
    idle_session_timeout: `${sessionTimeoutMs}`,
    statement_timeout: '0',
    lock_timeout: `${kind === 'command' ? COMMAND_LOCK_TIMEOUT_MS : 0}`,
    client_connection_check_interval: `${CHECK_INTERVAL_MS}`,
    tcp_keepalives_idle: `${KEEPALIVE.idle}`,
    tcp_keepalives_interval: `${KEEPALIVE.interval}`,
    tcp_keepalives_count: `${KEEPALIVE.count}`,
    tcp_user_timeout: `${sessionTimeoutMs}`,
    plan_cache_mode: 'force_generic_plan',
    jit: 'off',
    search_path: 'pg_catalog',
  };
  return Object.fromEntries(Object.entries(all).filter(([name]) => !unsupported.has(name)));
}

/** For the startup message, where they precede those of the role and of the database. */
export const startupOptions = (settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');

/** Settings that the platform of a server may lack. */
export const isOptional = (name: string): boolean => /^(client_connection_check_interval$|tcp_)/.test(name);

/** Those that are essential and are not as they should be. */
export function differences(wanted: Settings, actual: Settings, versionNumber: number): Settings {
  const essential: Record<string, string> = Object.fromEntries(ESSENTIAL.map((name) => [name, wanted[name]!]));
  if (versionNumber >= WITH_TRANSACTION_TIMEOUT) essential[TRANSACTION_TIMEOUT] = '0';
  return Object.fromEntries(Object.entries(essential).filter(([name, value]) => actual[name] !== value));
}

/** The longest name of an application. */
const MAX_NAME_BYTES = 63;

/** Names the process in `pg_stat_activity`. */
export function applicationName(host = hostname(), pid = process.pid): string {
  const end = `:${pid}`;
  const ascii = host.replace(/[^\x21-\x7e]/g, '?');
  return `${`nestjs-dflockd:${ascii}`.slice(0, MAX_NAME_BYTES - end.length)}${end}`;
}
