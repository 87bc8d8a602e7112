import type { Ms } from '../common/system.js';
import type { Reply, Request } from '../protocol/messages.js';
import type { EngineObserver } from './observer.js';

/** Chosen by the host; unique in its session while the operation is open. */
export type OpId = number;

/** What the engine executes: the requests of the protocol, except those that the host answers itself. */
export type Command = Exclude<Request, { t: 'auth' | 'ping' | 'stats' }>;

/** `cancelled`: by `Engine.cancel`; never sent on the wire. */
export type Answer = Reply | { s: 'cancelled' };

/**
 * The answer to a request that cannot be granted because no fence may be issued now. Hosts that have more to say than
 * `error` compare with this object.
 */
export const NO_FENCE: Answer = Object.freeze({ s: 'error' });

/**
 * Receives the answers for a session. The engine calls it in the middle of its work: an implementation must only record
 * the answer, and not call the engine back.
 */
export interface SessionSink {
  /** Called exactly once per `exec`, at once or later: when a wait is over, when a signal has been delivered. */
  reply(op: OpId, answer: Answer): void;
  /** Delivers a signal. Returns false if the session cannot take another one; it is then skipped or evicted. */
  push(channel: string, payload: string): boolean;
  /** The session does not keep up; the host closes it and calls `Engine.close`. */
  evict(): void;
}

/** Issues the tokens of grants. */
export interface TokenSource {
  /**
   * 32 lowercase hex digits; the first 16 are a number greater than in every earlier token (spec 10). Undefined: there is
   * none at the moment, and nothing can be granted.
   */
  next(): string | undefined;
}

export interface EngineOptions {
  /** Lease of requests that name none. */
  defaultLeaseMs: Ms;
  /** Expired leases are freed at this interval, counted from the start (spec 4.4). */
  sweepIntervalMs: Ms;
  gcIntervalMs: Ms;
  /** Resources idle for longer than this are removed at the next GC tick (spec 4.7). */
  gcMaxIdleMs: Ms;
  /** Most resources of both kinds, idle ones included. */
  maxLocks: number;
  /** Longest queue of a resource; 0 = unlimited. */
  maxWaiters: number;
  /** Most distinct subscriptions of a session; 0 = 10,000. */
  maxSubscriptions: number;
  /** Called when 80 % of `maxLocks` are reached, and again only after usage has fallen below half. */
  onNearlyFull?: (resources: number) => void;
  /** Receives the events of the engine. Default: none, which costs a comparison per event. */
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
