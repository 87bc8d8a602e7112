import type { Ms } from '../common/system.js';
import type { Kind, Limit } from '../protocol/messages.js';

interface ObservedSession {
  /** Counts from 1 for each engine. */
  readonly id: number;
  readonly peer: string;
}

/** A key, as an observer sees it. */
export interface ObservedResource {
  readonly limit: Limit;
  readonly holders: { readonly size: number };
  readonly queue: { readonly size: number };
}

/** A grant, as an observer sees it: the same object from its beginning to its end. */
export interface ObservedHold {
  readonly session: ObservedSession;
  readonly res: ObservedResource;
  readonly token: string;
  /** When it was granted; undefined if before the engine had an observer. */
  readonly since: Ms;
  /** End of the lease. */
  readonly due: Ms;
}

/** A place in a queue, as an observer sees it: the same object from its beginning to its end. */
export interface ObservedWaiter {
  readonly session: ObservedSession;
  /** Its queue no longer contains a waiter that was granted or has left. */
  readonly res: ObservedResource;
  /** When it joined the queue. */
  readonly since: Ms;
}

/** Why a hold ended: it was released, its lease expired, or its connection was closed. */
export type FreedBy = 'release' | 'expiry' | 'disconnect';

/**
 * Why a waiter left the queue without a grant: it timed out, its caller cancelled it or the engine drains, or its
 * connection was closed.
 */
export type LeftBy = 'timeout' | 'cancel' | 'disconnect';

/** Why a request was refused regardless of whether the lock is held. */
export type Refusal = 'max_locks' | 'max_waiters' | 'limit_mismatch' | 'draining' | 'already_enqueued';

/**
 * Receives the events of an engine, for metrics and tests. The engine calls it in the middle of its work: an
 * implementation must only count or record. It must not call the engine, throw, or change its arguments. Keys are
 * bytes.
 *
 * A duration is NaN if it began before the engine had an observer.
 *
 * At any moment, `granted` minus `freed` is the number of slots held, and `queued` minus `left` minus those `granted`
 * to a waiter is the number of waiters.
 */
export interface EngineObserver {
  /** @param waitedMs 0 if the slot was free @param waiter the waiter that was queued; undefined if the slot was free */
  granted(kind: Kind, key: string, waitedMs: Ms, hold: ObservedHold, waiter: ObservedWaiter | undefined): void;
  freed(kind: Kind, key: string, heldMs: Ms, by: FreedBy, hold: ObservedHold): void;
  /** @param length of the key's queue, the new waiter included */
  queued(kind: Kind, key: string, length: number, waiter: ObservedWaiter): void;
  left(kind: Kind, key: string, waitedMs: Ms, by: LeftBy, waiter: ObservedWaiter): void;
  refused(status: Refusal): void;
  /** The lease starts again: by a renewal, or by the `wait` that returns an enqueued grant. */
  extended(kind: Kind, key: string, hold: ObservedHold): void;
}

/** Tells several observers, in their order; undefined for none. */
export function all(observers: readonly EngineObserver[]): EngineObserver | undefined {
  if (observers.length < 2) return observers[0];
  const each = [...observers];
  return {
    granted: (...event) => each.forEach((one) => one.granted(...event)),
    freed: (...event) => each.forEach((one) => one.freed(...event)),
    queued: (...event) => each.forEach((one) => one.queued(...event)),
    left: (...event) => each.forEach((one) => one.left(...event)),
    refused: (...event) => each.forEach((one) => one.refused(...event)),
    extended: (...event) => each.forEach((one) => one.extended(...event)),
  };
}
