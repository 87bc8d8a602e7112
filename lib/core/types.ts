import type { Ms } from '../common/system.js';
import type { Reply, Request } from '../protocol/messages.js';
import type { EngineObserver } from './observer.js';

/** Chosen by the host; unique in its session while the operation is open. */
export type OpId = number;

/** What the engine executes: the requests of the protocol but those that are the host's own affair. */
export type Command = Exclude<Request, { t: 'auth' | 'ping' | 'stats' }>;

/** `cancelled`: by Engine.cancel; never on a wire. */
export type Answer = Reply | { s: 'cancelled' };

/**
 * Where a session's answers go. The engine calls it in the middle of its work: an implementation only notes what it
 * is told and does not call the engine back.
 */
export interface SessionSink {
  /** Exactly once for each exec, at once or later: a wait when it is over, a signal when it has been delivered. */
  reply(op: OpId, answer: Answer): void;
  /** A signal; false when the session cannot take one more (it is then skipped, or evicted). */
  push(channel: string, payload: string): boolean;
  /** The session does not keep up; the host closes it and calls Engine.close. */
  evict(): void;
}

/** Names grants. */
export interface TokenSource {
  /** 32 lowercase hex digits, the first 16 a number greater than that of every token before (spec 10). */
  next(): string;
}

export interface EngineOptions {
  /** Lease of requests that name none. */
  defaultLeaseMs: Ms;
  /** Expired leases are taken away on ticks of this length, counted from the start (spec 4.4). */
  sweepIntervalMs: Ms;
  gcIntervalMs: Ms;
  /** Resources idle for longer than this are forgotten at the next GC tick (spec 4.7). */
  gcMaxIdleMs: Ms;
  /** Resources of both kinds, idle ones included. */
  maxLocks: number;
  /** Length of a resource's queue; 0 = unlimited. */
  maxWaiters: number;
  /** Distinct subscriptions of a session; 0 = 10,000. */
  maxSubscriptions: number;
  /** Called when four fifths of `maxLocks` are reached, and again only after half of them had been free. */
  onNearlyFull?: (resources: number) => void;
  /** Is told what the engine does. Default: nobody is, which costs a comparison for each event. */
  observer?: EngineObserver | undefined;
}

export const DEFAULT_ENGINE_OPTIONS: Readonly<EngineOptions> = {
  defaultLeaseMs: 33_000,
  sweepIntervalMs: 1_000,
  gcIntervalMs: 5_000,
  gcMaxIdleMs: 60_000,
  maxLocks: 1024,
  maxWaiters: 0,
  maxSubscriptions: 0,
};
