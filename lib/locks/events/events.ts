import type { LockLostError, LossReason } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';

/** One key's part in a hold. */
export interface HeldGrant {
  readonly key: string;
  readonly token: string;
  readonly fence?: bigint | undefined;
  readonly server: string;
  /** Without the token, by which the lock can be released; the fence as text. */
  toJSON(): object;
}

/** What every event about locks says. */
export interface LockEventBase {
  /** The keys as the caller wrote them, without namespace; several in the order in which they are taken. */
  readonly keys: readonly string[];
  /** Wall clock, milliseconds since the epoch; for display. */
  readonly at: Ms;
}

export interface LockLostEvent extends LockEventBase {
  readonly type: 'lost';
  readonly grants: readonly HeldGrant[];
  /** Of a semaphore. */
  readonly limit?: number | undefined;
  readonly reason: LossReason;
  readonly heldMs: Ms;
  readonly server: string;
  readonly error?: LockLostError | undefined;
}

/** What happens to locks and links, as `events$` tells it. */
export type LockEvent =
  | (LockEventBase & { readonly type: 'acquired'; readonly waitedMs: Ms; readonly grants: readonly HeldGrant[] })
  /** An acquire has taken its place in line. */
  | (LockEventBase & { readonly type: 'queued' })
  /** `acquireTimeoutS` ran out. */
  | (LockEventBase & { readonly type: 'timeout'; readonly waitedMs: Ms })
  /** A locked method was not run because the lock was busy (`onBusy: 'skip'`). */
  | (LockEventBase & { readonly type: 'skipped' })
  | (LockEventBase & { readonly type: 'renewed'; readonly leaseMs: Ms })
  | (LockEventBase & { readonly type: 'released'; readonly heldMs: Ms })
  | LockLostEvent
  | { readonly type: 'connected'; readonly server: string; readonly at: Ms }
  | { readonly type: 'disconnected'; readonly server: string; readonly at: Ms; readonly error?: Error | undefined }
  | { readonly type: 'degraded'; readonly server: string; readonly at: Ms; readonly detail: string };

/** What is rare enough for a log. */
export type LockNotice = Extract<
  LockEvent,
  { readonly type: 'connected' | 'disconnected' | 'degraded' | 'lost' | 'skipped' }
>;
