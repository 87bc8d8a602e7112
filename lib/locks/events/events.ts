import type { LockLostError, LossReason } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';

/** The grant of one key of a lock. */
export interface HeldGrant {
  readonly key: string;
  readonly token: string;
  readonly fence?: bigint | undefined;
  readonly server: string;
  /** Without the token, because a token can release the lock; the fence as a string. */
  toJSON(): object;
}

/** Common to all events about locks. */
export interface LockEventBase {
  /** The keys as the caller wrote them, without namespace; several keys in the order in which they are acquired. */
  readonly keys: readonly string[];
  /** Wall-clock time in milliseconds since the epoch, for display. */
  readonly at: Ms;
}

export interface LockLostEvent extends LockEventBase {
  readonly type: 'lost';
  readonly grants: readonly HeldGrant[];
  /** Set for a semaphore. */
  readonly limit?: number | undefined;
  readonly reason: LossReason;
  readonly heldMs: Ms;
  readonly server: string;
  readonly error?: LockLostError | undefined;
}

/** The events of `events$`, about locks and connections. */
export type LockEvent =
  | (LockEventBase & { readonly type: 'acquired'; readonly waitedMs: Ms; readonly grants: readonly HeldGrant[] })
  /** An acquire has entered a queue. */
  | (LockEventBase & { readonly type: 'queued' })
  /** `acquireTimeoutS` ran out. */
  | (LockEventBase & { readonly type: 'timeout'; readonly waitedMs: Ms })
  /** A locked method was skipped because its lock was busy (`onBusy: 'skip'`). */
  | (LockEventBase & { readonly type: 'skipped' })
  | (LockEventBase & { readonly type: 'renewed'; readonly leaseMs: Ms })
  | (LockEventBase & { readonly type: 'released'; readonly heldMs: Ms })
  | LockLostEvent
  | { readonly type: 'connected'; readonly server: string; readonly at: Ms }
  | { readonly type: 'disconnected'; readonly server: string; readonly at: Ms; readonly error?: Error | undefined }
  | { readonly type: 'degraded'; readonly server: string; readonly at: Ms; readonly detail: string };

/** The events rare enough to be logged. */
export type LockNotice = Extract<
  LockEvent,
  { readonly type: 'connected' | 'disconnected' | 'degraded' | 'lost' | 'skipped' }
>;
