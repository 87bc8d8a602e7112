/**
 * Every error of this package. All extend LockError and carry a stable `code`; match on the class or the code, never
 * on the text of a message.
 */
import { brand } from './brand.js';
import { plainFields } from './plain.js';
import { nameKey, shown } from './shown.js';

/** The context that an error may carry. */
export interface LockErrorDetails {
  /** Stable, upper-case. Default: the code of the class. */
  code?: string | undefined;
  /** The key as the caller wrote it, without namespace. Messages show the beginning of a long one. */
  key?: string | undefined;
  /** `host:port`, or `embedded`. */
  server?: string | undefined;
  cause?: unknown;
  /** Overrides the default of the class, see `LockError.isTransient`. */
  isTransient?: boolean | undefined;
}

export class LockError extends Error {
  readonly code: string;
  readonly key?: string;
  readonly server?: string;

  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code ?? 'LOCK_ERROR';
    if (details.key !== undefined) nameKey(this, details.key);
    if (details.server !== undefined) this.server = details.server;
    // Not enumerable, so that it does not show when the error is printed.
    if (details.isTransient !== undefined) Object.defineProperty(this, 'isTransient', { value: details.isTransient });
  }

  /**
   * Whether another attempt may succeed without anyone changing anything. A waiting acquire retries such errors until
   * its deadline. Determined by the class, with one exception: when the server refuses a client (AuthError, or
   * ConfigError for its certificate or token), the error is transient if the server has accepted the client before.
   */
  get isTransient(): boolean {
    return false;
  }

  /** Plain data: name, message and fields, without stack, cause and the result of a locked function. */
  toJSON(): object {
    const { settled: _, ...known } = this as LockError & { settled?: unknown };
    return { ...plainFields(known), name: this.name, message: this.message };
  }
}

/** The details, with the defaults of an error class filled in. */
const withDefaults = (details: LockErrorDetails, code: string, key?: string): LockErrorDetails => ({
  ...details,
  code: details.code ?? code,
  key: details.key ?? key,
});

/** The lock was not granted within `acquireTimeoutS`: another holder has it. */
export class AcquireTimeoutError extends LockError {
  /** What the message says after the key, if there is more to say than that somebody else has it. Not enumerable. */
  declare readonly why?: string;

  constructor(key: string, details: LockErrorDetails = {}, why = '') {
    const text = `could not acquire "${shown(key)}" in time`;
    super(why === '' ? text : `${text}: ${why}`, withDefaults(details, 'ACQUIRE_TIMEOUT', key));
    if (why !== '') Object.defineProperty(this, 'why', { value: why });
  }
}

/**
 * The server refused the auth token, or requires one. Final only at the first start: if the server has accepted the
 * client before, the error is transient. The client then keeps reconnecting, and a waiting acquire gets the error at
 * its deadline.
 */
export class AuthError extends LockError {
  constructor(details: LockErrorDetails = {}, message = 'authentication failed') {
    super(message, withDefaults(details, 'AUTH'));
  }
}

/** Why a hold ended before its release. `overdue`: the body ran for longer than `maxHoldS`. */
export type LossReason = 'expired' | 'disconnected' | 'rejected' | 'draining' | 'shutdown' | 'overdue';

/** The lock was lost while it was held. Treat whatever ran under it as unprotected from then on. */
export class LockLostError extends LockError {
  readonly reason: LossReason;
  /** What the locked function returned nevertheless; set if a result was withheld (`onLost: 'throw'`). */
  settled?: { value: unknown };

  constructor(key: string, reason: LossReason, details: LockErrorDetails = {}) {
    super(`lost the lock "${shown(key)}" (${reason})`, withDefaults(details, 'LOCK_LOST', key));
    this.reason = reason;
  }

  /** Records what the locked function returned. A listener that got the error earlier may have frozen it. @internal */
  settle(settled: { value: unknown }): void {
    Reflect.set(this, 'settled', settled);
  }
}

/** No server could be reached within the deadline. */
export class LockUnavailableError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, withDefaults(details, 'UNAVAILABLE'));
  }

  override get isTransient(): boolean {
    return true;
  }
}

/**
 * There was no connection to wait on: all wait lanes (`remote.maxWaitLanes`) are in use, or the server accepts no more
 * connections (its flag `--max-connections`). Polling did not get the lock within the deadline.
 */
export class PoolExhaustedError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, withDefaults(details, 'POOL_EXHAUSTED'));
  }

  override get isTransient(): boolean {
    return true;
  }
}

/**
 * The server's `max-locks` is reached (released keys count until they are collected). On Postgres: this process has as many locks as
 * `maxHeld` allows.
 */
export class MaxLocksError extends LockError {
  constructor(details: LockErrorDetails = {}, message = 'the server has reached its limit of keys (flag --max-locks)') {
    super(message, withDefaults(details, 'MAX_LOCKS'));
  }

  override get isTransient(): boolean {
    return true;
  }
}

/** The queue of this key is as long as the server's `max-waiters` allows. */
export class MaxWaitersError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('the queue of this key is full (server flag --max-waiters)', withDefaults(details, 'MAX_WAITERS'));
  }

  override get isTransient(): boolean {
    return true;
  }
}

/** The semaphore has a different limit on the server: it is in use, or, except on Redis, was within about the last minute. */
export class LimitMismatchError extends LockError {
  constructor(details: LockErrorDetails = {}, message?: string) {
    const text = 'the server has a different limit for this key, and keeps it until about a minute after its last use';
    super(message ?? `${text}; to change a limit, use another key`, withDefaults(details, 'LIMIT_MISMATCH'));
  }
}

/** Two-phase: `wait` without a place in the queue. */
export class NotEnqueuedError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('not enqueued', withDefaults(details, 'NOT_ENQUEUED'));
  }
}

/** Two-phase: the connection already has a place in the queue of this key. */
export class AlreadyEnqueuedError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('already enqueued', withDefaults(details, 'ALREADY_ENQUEUED'));
  }
}

/** The lease of the grant ran out before the grant was claimed. */
export class LeaseExpiredError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('the lease ran out before the grant was claimed', withDefaults(details, 'LEASE_EXPIRED'));
  }

  override get isTransient(): boolean {
    return true;
  }
}

/** The server is shutting down. */
export class ServerDrainingError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('the server is shutting down', withDefaults(details, 'DRAINING'));
  }

  override get isTransient(): boolean {
    return true;
  }
}

/** The request went to a follower of a cluster; `leader` is the address it named, if any. */
export class NotLeaderError extends LockError {
  readonly leader?: string;
  constructor(leader?: string, details: LockErrorDetails = {}) {
    super(leader ? `not the leader; the leader is ${leader}` : 'not the leader', withDefaults(details, 'NOT_LEADER'));
    if (leader !== undefined) this.leader = leader;
  }

  override get isTransient(): boolean {
    return true;
  }
}

/** A lock of the caller's async context already holds the key: the caller would wait for itself. */
export class NestedLockError extends LockError {
  constructor(key: string, details: LockErrorDetails = {}) {
    const message =
      `"${shown(key)}" is already held by a lock of the current async context, so waiting for it could deadlock. ` +
      'To run under that lock, pass its handle (onNested: lock). If a shared queue runs this task in the context of ' +
      'other code, bind the task to its own context with AsyncResource.bind';
    super(message, withDefaults(details, 'NESTED', key));
  }
}

/** The client or the application is closing; nothing new is acquired. */
export class ShuttingDownError extends LockError {
  constructor(details: LockErrorDetails = {}) {
    super('shutting down', withDefaults(details, 'SHUTTING_DOWN'));
  }
}

/** The backend does not support the operation. */
export class UnsupportedError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, withDefaults(details, 'UNSUPPORTED'));
  }
}

/** A wrong, unknown or contradictory option; the message names option and value. */
export class ConfigError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, withDefaults(details, 'CONFIG'));
  }
}

/** A key (or a value inside one) that cannot name a lock, or too many keys for one call; the message names them. */
export class LockKeyError extends LockError {
  /**
   * True if a decorator built the key from the arguments of a call. The fault is then in the request, and the exception
   * filter answers 400; otherwise it is in the application.
   */
  readonly fromArguments?: true;

  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, withDefaults(details, 'KEY'));
  }
}

/** The peer sent something that the protocol does not allow, or a plain `error`. */
export class ProtocolError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, withDefaults(details, 'PROTOCOL'));
  }

  override get isTransient(): boolean {
    return true;
  }
}

/**
 * A third-party backend threw something other than a LockError, or violated its interface: a bug in the backend.
 * `cause` is what it threw.
 */
export class BackendError extends LockError {
  constructor(message: string, details: LockErrorDetails = {}) {
    super(message, withDefaults(details, 'BACKEND'));
  }
}

// With this, `instanceof` also accepts errors of another copy of this package.
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
  BackendError,
}))
  brand(type, name);
