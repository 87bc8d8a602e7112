import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { Session } from '../sessions/session.js';

/** Who waits on a session. Exactly one of the two is called, once, unless the wait is cancelled. They must not throw. */
export interface WaitUser {
  /**
   * The session owns the lock. The proof may be old: `confirm` first.
   * @param fence microseconds of the server's wall clock, times 1,000
   */
  granted(fence: bigint, sentAt: Ms): void;
  /** The place is over: the session holds nothing and can be used again or released, or has ended. */
  failed(error: LockError): void;
}

/** A session on which one wait at a time blocks, and which owns the lock that the wait brought. It has one user at a time. */
export interface WaitSession {
  readonly session: Session;
  /** Waits for a lock. Only while it neither waits nor owns. */
  lock(id: AdvisoryId, user: WaitUser): void;
  /** Releases the lock that it owns and waits for it again, in one statement. The release counts as done when it is sent. */
  unlockAndLock(id: AdvisoryId, user: WaitUser): void;
  /** Releases the lock that it owns. */
  unlock(id: AdvisoryId, done: (outcome: Released) => void): void;
  /** Ends the wait, and releases what it was granted meanwhile. The user is not called any more. Then calls `done`. */
  cancel(done: () => void): void;
  /** Finds out whether the session lives if it was not proven within T/2. With an error, it has ended. */
  confirm(done: (error?: LockError) => void): void;
  /**
   * Subscribes the session to a channel: letters, digits and underscores. Each channel has one function, which is also called once
   * the session listens, because earlier notifications are lost.
   */
  listen(channel: string, notified: () => void): void;
  unlisten(channel: string): void;
  /** Gives the session back; it stays connected for 2 s. Not while it waits or owns a lock. Does nothing if it has ended. */
  release(): void;
}

/** The sessions to wait on: connected on demand, up to a cap. */
export interface WaitSessions {
  /** Connecting, in use or spare. */
  readonly open: number;
  /** `maxWaitConnections`, or less for a while after the server had no room. */
  readonly cap: number;
  /** For `stats`. */
  readonly counts: WaitCounts;
  /**
   * Calls `done` with a session, now or once one is connected or given back. Without a session, the cap is reached: poll instead.
   * With an error, it could not be connected. Returns a function that withdraws the request.
   */
  take(done: (session: WaitSession | undefined, error?: LockError) => void): () => void;
  /** Calls back when it is worth asking again. */
  onFree(callback: () => void): void;
  /** For the event `degraded`. */
  onDegraded(callback: (detail: string, error?: LockError) => void): void;
  /** Ends all sessions. */
  close(error: LockError): void;
}

export interface WaitCounts {
  /** Sessions on which a wait blocks. */
  readonly waiting: number;
  readonly spare: number;
  /** Since the start. */
  readonly cancels: number;
  readonly confirms: number;
}
