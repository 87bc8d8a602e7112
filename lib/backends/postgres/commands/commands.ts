import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { Session, Statement } from '../sessions/session.js';

/**
 * What tries for locks and for slots have in common. Except for `overdue`, exactly one of their callbacks is called, once, with
 * the final outcome of the try. They must not throw.
 */
export interface AnyTryOp {
  /** When its caller began to wait. Undefined: when the try is asked for. Changes when another caller waits for it. */
  readonly since?: Ms | undefined;
  /** Nobody waits for it: it need not be sent any more. Once it is sent, it is answered all the same. May change at any time. */
  readonly isDropped: boolean;
  /**
   * The answer is overdue: whoever waits for it should be told. It may still be granted. May be called more than once; also while it is
   * dropped, because others may wait behind it.
   */
  overdue(error: LockError): void;
  /** Nothing is taken: somebody else has it, or this process has it, tries for it or releases it on the command session. */
  refused(): void;
  /** Nothing is taken: it was not sent, because it was dropped. */
  dropped(): void;
  /** Nothing is taken, or the end of the session has freed it. LockUnavailableError, ShuttingDownError, … */
  failed(error: LockError): void;
}

/** One try for a lock. */
export interface TryOp extends AnyTryOp {
  readonly id: AdvisoryId;
  /**
   * The lock is taken, and has to be released even if nobody waits for it any more.
   * @param fence microseconds of the server's wall clock, times 1,000
   */
  granted(session: Session, fence: bigint, sentAt: Ms): void;
}

/** What the releases of locks and of slots have in common. Their callbacks must not throw. */
export interface AnyReleaseOp {
  /** The lock is no longer taken. Called once, before `done` unless `done` gets an error. */
  over(): void;
  /** The answer is overdue. May be called more than once. */
  overdue?(error: LockError): void;
  /** Called once. 'gone': the session has ended, or it did not have the lock. An error: the answer is overdue. */
  done(outcome: Released): void;
}

/** One release of a lock of the command session. */
export interface UnlockOp extends AnyReleaseOp {
  readonly id: AdvisoryId;
}

/** One try for a slot of a semaphore. */
export interface SlotTryOp extends AnyTryOp {
  readonly gate: bigint;
  /** Tried in this order. Those that this process has, or tries for, are left out. */
  readonly candidates: readonly bigint[];
  /** A wait session of this process has the gate: it is not tried. */
  readonly isHead: boolean;
  /** As TryOp.granted. */
  granted(session: Session, slot: bigint, fence: bigint, sentAt: Ms): void;
}

/** One release of a slot. */
export interface FreeSlotOp extends AnyReleaseOp {
  readonly slot: bigint;
  readonly gate: bigint;
  /** Notified if somebody is at the gate. Letters, digits and underscores only. */
  readonly channel: string;
}

export interface CommandCounts {
  /** Statements sent, of any kind. */
  readonly statements: number;
  /** Tries and releases sent. */
  readonly ops: number;
  /** Batches that failed and were repaired. */
  readonly repairs: number;
  /** How often a command session was established. */
  readonly connects: number;
  /** Locks and slots that the command session has, tries for or is repairing. */
  readonly inBook: number;
}

/**
 * The command connection of a process: one session at a time, across reconnects. What is asked for in one turn leaves in one
 * statement. All callbacks may come before the method returns.
 */
export interface Commands {
  /** Undefined while there is none: during an outage, and after `idleCloseMs` without use, until something is asked for. */
  readonly session: Session | undefined;
  /** Why nothing can be asked for. */
  readonly outage: LockError | undefined;
  readonly counts: CommandCounts;
  /** There is a new session; `isFirst`: the first one of this process. Not only after an outage: see `idleCloseMs`. */
  onUp(callback: (session: Session, isFirst: boolean) => void): void;
  /** In the turn in which the session ended, before its ops are told. */
  onDown(callback: (error: LockError) => void): void;
  /** There will be no session any more: the server refuses this client. */
  onFatal(callback: (error: LockError) => void): void;
  /** The session has not answered for `requestTimeoutMs`: holders should have it proven. */
  onSuspect(callback: (session: Session) => void): void;
  /** For the event `degraded`. */
  onDegraded(callback: (detail: string, error?: LockError) => void): void;
  /**
   * Makes the first session. Rejects with what the dialer says; after a transient error it keeps trying in the background.
   * @throws ConfigError, AuthError, LockUnavailableError
   */
  start(): Promise<void>;
  /** Sends a try. An id that is in the book is refused without being sent; during an outage, the try fails with its error. */
  try(op: TryOp): void;
  /** Releases a lock of this session. If the session has ended, the outcome is 'gone' at once, and nothing is sent on another session. */
  unlock(session: Session, op: UnlockOp): void;
  trySlot(op: SlotTryOp): void;
  freeSlot(session: Session, op: FreeSlotOp): void;
  /**
   * Runs a statement between batches, in order. Calls `ended` at once during an outage, and when the answer is overdue.
   * @param since when its caller began to wait. Default: now
   */
  query(statement: Statement, since?: Ms): void;
  /**
   * Finds out whether the session lives: at once if it was proven within T/3, otherwise by the answer to the next statement; sends
   * one if there is none.
   */
  prove(session: Session, done: (error?: LockError) => void): void;
  /** Ends a session on the server that may not know yet that it is over, as soon as there is a command session (S11). */
  terminate(session: Session): void;
  /** Waits for releases, for at most `graceMs`, and ends the session. Tries fail at once. */
  close(graceMs: Ms): Promise<void>;
}
