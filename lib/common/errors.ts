/**
 * Every error of this package. All extend LockError and carry a stable `code`; match on the class or the code, never
 * on the text of a message.
 */

import { brand } from './brand.js';
import { plainFields } from './plain.js';

/** What an error may know about its circumstances. */
export interface LockErrorDetails {
  /** Stable, upper-case; by default that of the class. */
  code?: string;
  /** The key as the caller wrote it, without namespace. */
  key?: string;
  /** `host:port`, or `embedded`. */
  server?: string;
  cause?: unknown;
}

export class LockError extends Error {
  readonly code: string;
  readonly key?: string;
  readonly server?: string;

  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code ?? 'LOCK_ERROR';
    if (details.key !== undefined) this.key = details.key;
    if (details.server !== undefined) this.server = details.server;
  }

  /** Plain data: what it says and knows, without stack, cause, and the result of a locked function. */
  toJSON(): object {
    const { settled: _, ...known } = this as LockError & { settled?: unknown };
    return { ...plainFields(known), name: this.name, message: this.message };
  }
}

/** The lock was not granted within `acquireTimeoutS`: somebody else has it. */
export class AcquireTimeoutError extends LockError {
  constructor(key: string, details: LockErrorDetails = {}) {
    super(`could not acquire "${key}" in time`, { code: 'ACQUIRE_TIMEOUT', key, ...details });
  }
}

/** The server refused the auth token. Permanent: nothing is retried. */
export class AuthError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('authentication failed', { code: 'AUTH', ...details });
  }
}

/** Why a hold ended before its release. */
export type LossReason = 'expired' | 'disconnected' | 'rejected' | 'draining' | 'shutdown';

/** The lock was lost while it was held; what ran under it must be taken as unprotected since then. */
export class LockLostError extends LockError {
  readonly reason: LossReason;
  /** What the locked function returned all the same; set where a result had to be withheld (`onLost: 'throw'`). */
  settled?: { value: unknown };

  constructor(key: string, reason: LossReason, details: LockErrorDetails = {}) {
    super(`lost the lock "${key}" (${reason})`, { code: 'LOCK_LOST', key, ...details });
    this.reason = reason;
  }

  /** Notes what the locked function returned. Who was told of the loss before may have frozen it. @internal */
  settle(settled: { value: unknown }): void {
    Reflect.set(this, 'settled', settled);
  }
}

/** No server could be reached within the deadline. */
export class LockUnavailableError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, { code: 'UNAVAILABLE', ...details });
  }
}

/** All wait lanes (`remote.maxWaitLanes`) are in use and polling did not succeed within the deadline. */
export class PoolExhaustedError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, { code: 'POOL_EXHAUSTED', ...details });
  }
}

/** The server's `max-locks` is reached (released keys count until they are collected). */
export class MaxLocksError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('the server holds as many keys as its flag --max-locks allows', { code: 'MAX_LOCKS', ...details });
  }
}

/** The queue of this key is as long as the server's `max-waiters` allows. */
export class MaxWaitersError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('the queue of this key is as long as the server flag --max-waiters allows', {
      code: 'MAX_WAITERS',
      ...details,
    });
  }
}

/** The key exists as a semaphore with another limit. */
export class LimitMismatchError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('the key is in use with another limit', { code: 'LIMIT_MISMATCH', ...details });
  }
}

/** Two-phase: wait without a place in the queue. */
export class NotEnqueuedError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('not enqueued', { code: 'NOT_ENQUEUED', ...details });
  }
}

/** Two-phase: the connection has a place in the queue of this key already. */
export class AlreadyEnqueuedError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('already enqueued', { code: 'ALREADY_ENQUEUED', ...details });
  }
}

/** The grant lapsed before anybody claimed it. */
export class LeaseExpiredError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('the lease ran out before the grant was claimed', { code: 'LEASE_EXPIRED', ...details });
  }
}

/** The server is shutting down. */
export class ServerDrainingError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('the server is shutting down', { code: 'DRAINING', ...details });
  }
}

/** A follower of a cluster was asked; `leader` is the address it named, if any. */
export class NotLeaderError extends LockError {
  readonly leader?: string;
  constructor(leader?: string, details: LockErrorDetails = {}) {
    super(leader ? `not the leader; the leader is ${leader}` : 'not the leader', { code: 'NOT_LEADER', ...details });
    if (leader !== undefined) this.leader = leader;
  }
}

/** The same key was asked for inside its own live hold; waiting would have been for oneself. */
export class NestedLockError extends LockError {
  constructor(key: string, details: LockErrorDetails = {}) {
    super(`"${key}" is already held by the code that asks for it`, { code: 'NESTED', key, ...details });
  }
}

/** The client or the application is closing; nothing new is acquired. */
export class ShuttingDownError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('shutting down', { code: 'SHUTTING_DOWN', ...details });
  }
}

/** The backend cannot do what was asked. */
export class UnsupportedError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, { code: 'UNSUPPORTED', ...details });
  }
}

/** A wrong, unknown or contradictory option; the message names option and value. */
export class ConfigError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, { code: 'CONFIG', ...details });
  }
}

/** A key (or a value inside one) that cannot name a lock; the message names it. */
export class LockKeyError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, { code: 'KEY', ...details });
  }
}

/** The peer said something that the protocol does not allow, or a plain `error`. */
export class ProtocolError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, { code: 'PROTOCOL', ...details });
  }
}

// An error of another copy of this package is one of these as well.
for (const [name, type] of Object.entries({
  LockError,
  AcquireTimeoutError,
  AuthError,
  LockLostError,
  LockUnavailableError,
  PoolExhaustedError,
  MaxLocksError,
  MaxWaitersError,
  LimitMismatchError,
  NotEnqueuedError,
  AlreadyEnqueuedError,
  LeaseExpiredError,
  ServerDrainingError,
  NotLeaderError,
  NestedLockError,
  ShuttingDownError,
  UnsupportedError,
  ConfigError,
  LockKeyError,
  ProtocolError,
})) {
  brand(type, name);
}
