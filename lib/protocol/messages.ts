import type { Ms } from '../common/system.js';

/**
 * The messages between a client and a lock server, as data. An engine in this process takes the same messages. Keys,
 * tokens, patterns, channels and payloads are byte strings (bytes.ts). Durations are milliseconds here, and whole
 * seconds on the wire.
 */

/** Locks and semaphores live in separate namespaces (spec 4.1). */
export type Kind = 'lock' | 'sem';

/** The number of slots; 1 for a lock. A bigint only above 2^53: the wire has 64 bits. */
export type Limit = number | bigint;

export type Request =
  | { t: 'auth'; token: string }
  | { t: 'ping' }
  | { t: 'stats' }
  /** `waitMs` 0 tries once; `leaseMs` 0 means the server's default. */
  | { t: 'acquire'; kind: Kind; key: string; limit: Limit; waitMs: Ms; leaseMs: Ms }
  | { t: 'enqueue'; kind: Kind; key: string; limit: Limit; leaseMs: Ms }
  | { t: 'wait'; kind: Kind; key: string; waitMs: Ms }
  | { t: 'renew'; kind: Kind; key: string; token: string; leaseMs: Ms }
  | { t: 'release'; kind: Kind; key: string; token: string }
  | { t: 'listen'; pattern: string; group: string }
  | { t: 'unlisten'; pattern: string; group: string }
  | { t: 'signal'; channel: string; payload: string };

/** Replies without fields. STATUS_WORDS has their words on the wire. */
export type PlainStatus =
  | 'ok'
  | 'queued'
  | 'timeout'
  | 'error'
  | 'auth'
  | 'max_locks'
  | 'max_waiters'
  | 'limit_mismatch'
  | 'not_enqueued'
  | 'already_enqueued'
  | 'lease_expired'
  | 'draining';

export type Reply =
  | { s: 'granted'; token: string; leaseMs: Ms }
  /** The answer to an `enqueue` that got a slot at once. */
  | { s: 'acquired'; token: string; leaseMs: Ms }
  | { s: 'renewed'; leaseMs: Ms }
  | { s: 'delivered'; count: number }
  | { s: 'stats'; json: string }
  | { s: 'not_leader'; leader: string }
  | { s: PlainStatus };

/** An unsolicited line of a server with signals (spec 6.2). */
export interface Push {
  channel: string;
  payload: string;
}
