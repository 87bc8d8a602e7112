import { checkNames, checkNumber, checkObject, wrong } from '../../common/option-checks.js';
import type { Ms } from '../../common/system.js';
import { checkLockIds, type LockIds } from './ids/lock-id-option.js';
import { checkKeep, type TableName } from './keep/table-name.js';

/** Options of `postgresBackend`. All durations are milliseconds. */
export interface PostgresBackendOptions {
  /**
   * The server ends a session that has been silent for this long, and frees its locks. This is how long a process that has stalled or
   * is cut off can keep a lock; a process whose event loop is blocked for this long loses all its locks. Default 10,000; between 2,000
   * and 600,000. Keep it below the time after which the manager of a cluster promotes a standby.
   */
  sessionTimeoutMs?: number | undefined;
  /**
   * Connections on which this process waits for keys: one for each key that it waits for, and one for each lock that it waited for,
   * until that lock is released. Callers that wait for further keys poll. Default 5.
   */
  maxWaitConnections?: number | undefined;
  /**
   * Places in the server's queue for each key. Default 1. `Infinity`, together with `maxWaitConnections: Infinity`, serves the callers of
   * all processes strictly in order, each on a connection of its own.
   */
  waitersPerKey?: number | undefined;
  /**
   * How often a lock is handed on within this process before other processes get their turn. Default 4, at most 999; 0: every
   * hand-over goes through the server.
   */
  localTurns?: number | undefined;
  /** How long after the server's grant a lock may be handed on within this process. Default 100. */
  localMs?: number | undefined;
  /**
   * How many locks this process may hold, try for and wait for at the same time; an acquire beyond that fails with a MaxLocksError. A
   * place in the queue of a semaphore counts twice. The server keeps locks in a table that all its sessions share. Default: an eighth of
   * that table, at most 1,000.
   */
  maxHeld?: number | undefined;
  /** How a key becomes the id of an advisory lock. Default `'sha256'`. Must be the same in all programs that share locks. */
  lockId?: LockIds | undefined;
  /**
   * A table for locks that are kept for a while after their release (minimum holds), so that they outlive the process: `true` for
   * `public.dflockd_kept`, or a name with its schema. Must be the same in all programs. Default `false`.
   */
  keep?: boolean | string | undefined;
  /** Creates that table if it does not exist. Default `true`. */
  ensureSchema?: boolean | undefined;
  /** How often, at least, the first waiter of a semaphore looks for a free slot. Default 100, at least 10. */
  semPollMs?: number | undefined;
  /**
   * A call without an answer fails after this time; a waiting caller goes on until its deadline. Default 5,000, or half of
   * `sessionTimeoutMs` if that is less.
   */
  requestTimeoutMs?: number | undefined;
  /** An attempt to connect that has not succeeded by then fails. Default 5,000. */
  connectTimeoutMs?: number | undefined;
  /**
   * Delays between attempts to connect: random, up to a bound that doubles from `minDelayMs` (default 50) to `maxDelayMs`
   * (default 5,000).
   */
  reconnect?: { minDelayMs?: number | undefined; maxDelayMs?: number | undefined } | undefined;
  /**
   * Closes the connection when nothing has been held and nobody has waited for this time, for databases that sleep while unused. The next
   * call opens it again.
   * Default 0: never.
   */
  idleCloseMs?: number | undefined;
}

/** The options, checked and complete. */
export interface BackendConfig {
  readonly sessionTimeoutMs: Ms;
  readonly maxWaitConnections: number;
  readonly waitersPerKey: number;
  readonly localTurns: number;
  readonly localMs: Ms;
  /** Undefined: as the server's table of locks allows. */
  readonly maxHeld: number | undefined;
  readonly lockId: LockIds;
  /** Undefined: no table. */
  readonly keep: TableName | undefined;
  readonly ensureSchema: boolean;
  readonly semPollMs: Ms;
  readonly requestTimeoutMs: Ms;
  readonly connectTimeoutMs: Ms;
  readonly minDelayMs: Ms;
  readonly maxDelayMs: Ms;
  readonly idleCloseMs: Ms;
}

const KNOWN = [
  'sessionTimeoutMs', 'maxWaitConnections', 'waitersPerKey', 'localTurns', 'localMs', 'maxHeld', 'lockId', 'keep', 'ensureSchema',
  'semPollMs', 'requestTimeoutMs', 'connectTimeoutMs', 'reconnect', 'idleCloseMs',
]; // prettier-ignore

/** Timers hold no longer delays. */
const MAX_MS = 2_147_483_647;
const MAX_CONNECTIONS = 10_000;
/** The last three digits of a fence count local turns. */
const MAX_TURNS = 999;

/** @throws ConfigError that names option and value */
export function resolvePostgres(value: unknown = {}): BackendConfig {
  const options = checkObject('postgresBackend', value);
  checkNames('postgresBackend', options, KNOWN);
  const whole = (name: string, min: number, max = MAX_MS): number | undefined =>
    checkNumber(`postgresBackend.${name}`, options[name], { min, max, integer: true });
  const flag = (name: string): boolean | undefined => {
    const given = options[name];
    if (given !== undefined && typeof given !== 'boolean')
      throw wrong(`postgresBackend.${name}`, 'true or false', given);
    return given;
  };
  const sessionTimeoutMs = whole('sessionTimeoutMs', 2000, 600_000) ?? 10_000;
  const requestTimeoutMs = whole('requestTimeoutMs', 50) ?? Math.min(5000, sessionTimeoutMs / 2);
  if (requestTimeoutMs >= sessionTimeoutMs) {
    const expected = `less than sessionTimeoutMs (${sessionTimeoutMs})`;
    throw wrong('postgresBackend.requestTimeoutMs', expected, requestTimeoutMs);
  }
  const isStrict = options['waitersPerKey'] === Infinity;
  if (isStrict !== (options['maxWaitConnections'] === Infinity)) {
    const name = isStrict ? 'maxWaitConnections' : 'waitersPerKey';
    throw wrong(`postgresBackend.${name}`, 'Infinity, because the other of the two is', options[name]);
  }
  return Object.freeze({
    sessionTimeoutMs,
    maxWaitConnections: isStrict ? Infinity : (whole('maxWaitConnections', 1, MAX_CONNECTIONS) ?? 5),
    waitersPerKey: isStrict ? Infinity : (whole('waitersPerKey', 1, MAX_CONNECTIONS) ?? 1),
    localTurns: isStrict ? 0 : (whole('localTurns', 0, MAX_TURNS) ?? 4),
    localMs: whole('localMs', 0) ?? 100,
    maxHeld: whole('maxHeld', 1),
    lockId: checkLockIds('postgresBackend.lockId', options['lockId']),
    keep: checkKeep('postgresBackend.keep', options['keep']),
    ensureSchema: flag('ensureSchema') ?? true,
    semPollMs: whole('semPollMs', 10) ?? 100,
    requestTimeoutMs,
    connectTimeoutMs: whole('connectTimeoutMs', 50) ?? 5000,
    ...resolveReconnect(options['reconnect']),
    idleCloseMs: whole('idleCloseMs', 0) ?? 0,
  });
}

function resolveReconnect(value: unknown = {}): Pick<BackendConfig, 'minDelayMs' | 'maxDelayMs'> {
  const options = checkObject('postgresBackend.reconnect', value);
  checkNames('postgresBackend.reconnect', options, ['minDelayMs', 'maxDelayMs']);
  const delay = (name: string): number | undefined =>
    checkNumber(`postgresBackend.reconnect.${name}`, options[name], { min: 1, max: MAX_MS });
  const minDelayMs = delay('minDelayMs') ?? Math.min(50, delay('maxDelayMs') ?? Infinity);
  const maxDelayMs = delay('maxDelayMs') ?? Math.max(5000, minDelayMs);
  if (maxDelayMs < minDelayMs) {
    throw wrong('postgresBackend.reconnect.maxDelayMs', `at least minDelayMs (${minDelayMs})`, maxDelayMs);
  }
  return { minDelayMs, maxDelayMs };
}
