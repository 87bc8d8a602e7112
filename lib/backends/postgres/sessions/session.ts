import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';

/** A row as the server writes it: text, or null. The type parsers of the application have no part in it. */
export type TextRow = readonly (string | null)[];

/** One statement on one session. Exactly one of the three callbacks is called, once. They must not throw. */
export interface Statement {
  /** Of the prepared statement, the same text each time; '' does not prepare it. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
  /**
   * The statement waits for a lock: as long as it runs, the server does not count the session as idle and the session does not
   * expect an answer. Its answer proves nothing that is newer than `sentAt`. Default false.
   */
  readonly waits?: boolean | undefined;
  /** No caller waits for it: it does not keep the process alive. Default false. */
  readonly isBackground?: boolean | undefined;
  /** When it was sent; the session sets it. */
  sentAt: Ms;
  answered(rows: readonly TextRow[]): void;
  /** The server refused it. The session goes on, with the locks that the statement took before it failed. */
  failed(error: LockError, sqlState: string): void;
  /** The session ended. If the statement was sent, nobody knows whether it was executed. */
  ended(error: LockError): void;
}

/** What a session is for: it decides which settings it has. */
export type SessionKind = 'command' | 'wait';

/**
 * One session of Postgres on a connection of its own, checked and in use, until it ends: it never reconnects. It runs one
 * statement at a time, in the order in which they were sent, and speaks often enough to stay alive.
 */
export interface Session {
  readonly kind: SessionKind;
  /** As `pg_backend_pid()` says; behind a pooler, it is not what the connection was told. */
  readonly pid: number;
  /** `backend_start`, as text with all its digits: with the pid it names the session for ever. */
  readonly backendStart: string;
  /** `host:port/database` */
  readonly server: string;
  readonly isEnded: boolean;
  /** Nothing runs and nothing is queued. A heartbeat does not count. */
  readonly isIdle: boolean;
  /** When the newest statement that has been answered was sent. */
  readonly provenAt: Ms;
  /** The server keeps the session at least until then. */
  provenUntil(): Ms;
  /** Sends it, or queues it. Once the session has ended, calls `ended` at once. */
  send(statement: Statement): void;
  /**
   * Calls back in the turn in which the session ends, before its statements are told; never, if it has ended. Returns a
   * function that unsubscribes.
   */
  onEnd(callback: (error: LockError) => void): () => void;
  /** For each NOTIFY on a channel that it listens to. */
  onNotice(callback: (channel: string, payload: string) => void): void;
  /** Ends the session at once, which frees its locks. Statements and owners are told the error. */
  end(error: LockError): void;
  /**
   * Whether a caller waits although no answer is due, as behind a statement that waits. The connection keeps the process alive
   * only then and while an answer is due. Default false.
   */
  hold(isWaitedFor: boolean): void;
}

/** What the server says about itself at each connect. */
export interface ServerFacts {
  /** `16.4` */
  readonly version: string;
  /** `160004` */
  readonly versionNumber: number;
  /** Undefined where the role may not ask. */
  readonly systemIdentifier: string | undefined;
  readonly timeline: number | undefined;
  readonly maxConnections: number;
  /** How many locks the server has memory for: max_locks_per_transaction × (max_connections + max_prepared_transactions). */
  readonly lockTableSize: number;
  /** A pooler in session mode is between. */
  readonly isPooled: boolean;
}

/** Makes sessions. Each one is checked before it is handed over. */
export interface SessionDialer {
  /** `host:port/database`; known before the start as far as the source tells. */
  readonly server: string;
  /** Of the newest session. Undefined before the first one. */
  readonly facts: ServerFacts | undefined;
  /**
   * Makes the command session and finds out, with a second session, whether advisory locks work here. To be repeated until it
   * succeeds; only then `connect` may be used. `wait` is the second session; undefined: there was no room for it.
   * @throws ConfigError, AuthError (final), LockUnavailableError (transient)
   */
  start(): Promise<{ readonly command: Session; readonly wait: Session | undefined }>;
  /**
   * @param isAwaited a caller waits for it: the attempt keeps the process alive. Default false
   * @throws as `start`; PoolExhaustedError if the server has no room for another connection (53300)
   */
  connect(kind: SessionKind, isAwaited?: boolean): Promise<Session>;
  /** Calls back if the server is another cluster than before. */
  onDegraded(callback: (detail: string) => void): void;
  /** Ends what is being connected. Sessions that were handed over go on. */
  close(error: LockError): void;
}

/** What the dialer needs of the options. */
export interface SessionSettings {
  /** T: the server ends a session that was silent for so long. */
  readonly sessionTimeoutMs: Ms;
  readonly connectTimeoutMs: Ms;
}
