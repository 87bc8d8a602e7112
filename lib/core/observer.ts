import type { Ms } from '../common/system.js';
import type { Kind, Limit } from '../protocol/messages.js';

interface ObservedSession {
  /** Counts from 1 for each engine. */
  readonly id: number;
  readonly peer: string;
}

/** A grant, as an observer sees it: the same object from its beginning to its end. */
export interface ObservedHold {
  readonly session: ObservedSession;
  readonly res: { readonly limit: Limit };
  readonly token: string;
  /** When it was granted. */
  readonly since: Ms;
  /** End of the lease. */
  readonly due: Ms;
}

/** A place in a queue, as an observer sees it: the same object from its beginning to its end. */
export interface ObservedWaiter {
  readonly session: ObservedSession;
  /** When it joined the queue. */
  readonly since: Ms;
}

/** Why a hold ended: its holder released it, its lease was over, or its connection ended. */
export type FreedBy = 'release' | 'expiry' | 'disconnect';

/**
 * Why a waiter left the queue without a grant: its time was over, its caller gave up or the engine drains, or its connection
 * ended.
 */
export type LeftBy = 'timeout' | 'cancel' | 'disconnect';

/** Why a request was turned down without looking at who holds the lock. */
export type Refusal = 'max_locks' | 'max_waiters' | 'limit_mismatch' | 'draining' | 'already_enqueued';

/**
 * Is told what an engine does, for metrics and tests. The engine calls it in the middle of its work: an implementation
 * counts or writes down, never calls the engine, never throws, and does not change what it is given. Keys are bytes.
 *
 * At any moment, `granted` minus `freed` is the number of slots held, and `queued` minus `left` minus those `granted` to
 * a waiter is the number of waiters.
 */
export interface EngineObserver {
  /** @param waitedMs 0 if it was free @param waiter who had been queued for it; undefined if it was free */
  granted(kind: Kind, key: string, waitedMs: Ms, hold: ObservedHold, waiter: ObservedWaiter | undefined): void;
  freed(kind: Kind, key: string, heldMs: Ms, by: FreedBy, hold: ObservedHold): void;
  /** @param length of the key's queue, with the newcomer */
  queued(kind: Kind, key: string, length: number, waiter: ObservedWaiter): void;
  left(kind: Kind, key: string, waitedMs: Ms, by: LeftBy, waiter: ObservedWaiter): void;
  refused(status: Refusal): void;
  /** The lease begins anew: by a renewal, or by the `wait` that returns an enqueued grant. */
  extended(kind: Kind, key: string, hold: ObservedHold): void;
}
