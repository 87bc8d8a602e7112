import type { LockError, LossReason } from '../common/errors.js';
import type { Clock, Entropy, Ms } from '../common/system.js';

/** What a backend supports and guarantees. It refuses anything else with a typed error and never pretends. */
export interface Capabilities {
  /** What a lost connection costs: the lock at once, or nothing until the lease ends. */
  ownership: 'connection' | 'lease';
  /** The order in which waiters are served: among all of them, within one process, or none. */
  order: 'strict' | 'per-process' | 'none';
  fence: 'none' | 'per-key';
  semaphores: boolean;
  tickets: boolean;
  signals: boolean;
  /** `dump`: `isLocked` reads the server's whole state. */
  inspect: 'key' | 'dump' | 'none';
  /** The unit in which the server counts leases. Requested leases are rounded up to it. */
  leaseUnitMs: Ms;
  /** The shortest lease that the server grants. A shorter request is raised to it. */
  minLeaseMs: Ms;
  /** The client logs a warning if its `leaseTtlS` is shorter than this. Default 0: no warning. */
  adviseLeaseMs?: Ms | undefined;
  /**
   * A process that stands still for this long loses its locks, however long their leases are. The client logs a warning
   * if its `leaseTtlS` is longer. Default: none.
   */
  maxStallMs?: Ms | undefined;
  /**
   * The unit in which the server counts waits. A place in its queue may outlast the deadline by up to one unit; the
   * waiter is still refused on time.
   */
  waitUnitMs: Ms;
  /** At least 65; Infinity: no limit. A longer key is sent as its beginning and a hash. */
  maxKeyBytes: number;
  /** A lock can outlive its process (minimum hold). */
  keepAfterRelease: boolean;
}

/** What a key names: a lock, or a semaphore with a number of slots. The two are independent of each other. */
export type LockKind = 'lock' | 'sem';

export interface AcquireRequest {
  /** The key on the wire: with its namespace, not yet encoded. */
  readonly key: string;
  readonly kind: LockKind;
  /** 1 for a lock. */
  readonly limit: number;
  /** 0: the server's default. */
  readonly leaseMs: Ms;
  /** Monotonic time at which the wait ends. For a try that does not wait, the time of the call. */
  readonly deadline: Ms;
}

/**
 * Proof that a lock is held, at least until `min(validFrom + leaseMs, owner.provenUntil())`. `validFrom` is the send
 * time of the answered request, so it is never later than the server's own start of the lease.
 */
export interface Proof {
  readonly validFrom: Ms;
  readonly leaseMs: Ms;
}

/** What a grant depends on: a connection to dflockd, the engine in this process, a lease id, … */
export interface Owner {
  readonly id: string;
  /** Time until which the owner is known to be alive; Infinity where losing the connection does not lose the lock. */
  provenUntil(): Ms;
  /** Calls back in the turn in which the owner is lost. Returns a function that unsubscribes. */
  onLost(callback: (reason: LossReason, error?: Error) => void): () => void;
}

export interface Grant extends Proof {
  readonly req: AcquireRequest;
  readonly token: string;
  /**
   * Set if the server granted a shorter lease than the caller asked for: the lease to renew to, in the turn of the
   * grant (0: the server's default). Until the renewal is answered, `leaseMs` applies.
   */
  readonly wantedMs?: Ms | undefined;
  /** Rises with each grant of a key, if the backend supports fences. */
  readonly fence?: bigint | undefined;
  /** Chosen once: renewals and the release go to this server only. */
  readonly server: string;
  readonly owner: Owner;
}

/**
 * Receives the outcome of an acquire. Exactly one of `granted` and `refused` is called, once, in the turn in which the
 * outcome is known, which may be before enqueue() returns. Callbacks rather than promises, because every acquired lock
 * needs one. They must not throw.
 */
export interface Waiter {
  /** The waiter renews its grants, so a shorter lease will do at first (see Grant.wantedMs). Default false. */
  readonly autoRenew?: boolean | undefined;
  /** `queued`: the waiter is now in a queue; may be repeated. `acquired`: the grant is there or on its way. */
  onPlaced(place: Placement): void;
  granted(grant: Grant): void;
  /** AcquireTimeoutError at the deadline, LockUnavailableError, MaxLocksError, … */
  refused(error: unknown): void;
}

export type Placement = 'acquired' | 'queued';

/** A place in the queue, from the call of enqueue() on. */
export interface Pending {
  /**
   * Stops waiting at once: the waiter is not called any more, and the backend releases a grant that still arrives. Does
   * nothing once the waiter has been answered.
   */
  cancel(): void;
}

/**
 * One of the renewals of `renewAll()`. The backend calls `renewed` or `failed`, once, in the turn in which the outcome is
 * known, which may be before renewAll() returns. Neither throws.
 */
export interface RenewalRequest {
  readonly grant: Grant;
  /** As in `renew()`. 0: the server's default. */
  readonly leaseMs: Ms;
  renewed(proof: Proof): void;
  /** LockLostError (final), or another error, after which the client retries while the proof lasts. */
  failed(error: unknown): void;
}

/**
 * The outcome of a release. 'gone': the lock was no longer held. An error: the outcome is unknown, and the lock ends
 * with its lease.
 */
export type Released = 'released' | 'gone' | Error;

/**
 * A change in a server's state. `up`, `down`: the connection was established or lost. `draining`: the server shuts down
 * and keeps its locks until their connections end. `degraded`: the server is impaired, as `detail` explains.
 */
export interface LinkEvent {
  readonly server: string;
  readonly state: 'up' | 'down' | 'draining' | 'degraded';
  readonly error?: Error | undefined;
  /** For `degraded`: what is wrong, and which option changes it. */
  readonly detail?: string | undefined;
}

/** Receives signals, in the turn in which they arrive. Must not throw. */
export interface SignalTaker {
  signal(channel: string, payload: string): void;
  /** The subscription has ended: UnsupportedError, AuthError, ConfigError; ShuttingDownError on close. */
  failed(error: LockError): void;
}

/** What the client provides to its backend. */
export interface BackendHost {
  /** Deadlines and proofs are times of this clock. */
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Messages for operators. In Nest they go to the logger of the module. */
  readonly log: (level: 'warn', message: string) => void;
}

/**
 * Creates the backend of one client; the client starts and closes it. Called in the client's constructor. Must return a
 * new backend on each call and must not connect before `start`. May throw a ConfigError.
 */
export type BackendFactory<S = unknown> = (host: BackendHost) => LockBackend<S>;

/**
 * The interface between the lock API (lib/locks) and the place where locks live. A method fails with a LockError,
 * thrown or as a rejection; `isTransient` tells whether a wait continues. Any other error is treated as a bug and
 * becomes a BackendError.
 * @typeParam S what `stats` returns for each server
 */
export interface LockBackend<S = unknown> {
  readonly name: string;
  /**
   * Known before the start. The key length, lease unit, and minimum and advised lease are read once, when the client is
   * created, and must not change.
   */
  readonly capabilities: Capabilities;
  /**
   * Connects and probes. Rejects with ConfigError, AuthError or LockUnavailableError. After a transient error it keeps
   * trying to connect in the background.
   */
  start(): Promise<Capabilities>;
  /** Tries once, without waiting. Null: the lock is busy. */
  tryAcquire(req: AcquireRequest): Promise<Grant | null>;
  /** `ticket`: takes a place of its own at once; its deadline may be Infinity. */
  enqueue(req: AcquireRequest, mode: 'queue' | 'ticket', waiter: Waiter): Pending;
  /**
   * Rejects with LockLostError (final), or with another error, after which the client retries while the proof lasts.
   */
  renew(grant: Grant, leaseMs: Ms): Promise<Proof>;
  /**
   * Renews many grants, at most 1,000, each as `renew` does. Optional: for a backend that can renew them in one request,
   * or without a promise for each. The client then uses it for the renewals that nobody waits for. If it throws, the
   * renewals that it has not answered have failed.
   */
  renewAll?(requests: readonly RenewalRequest[]): void;
  /**
   * Calls `done` once, in the turn in which the outcome is known, which may be before release() returns. With `keepMs`
   * above 0, sets the lease to this time instead of releasing. Must not throw.
   */
  release(grant: Grant, done: (outcome: Released) => void, keepMs?: Ms): void;
  /** Releases the lock if it can, or leaves it to its lease. Never throws. */
  abandon(grant: Grant): void;
  isLocked?(key: string, kind: LockKind): Promise<boolean>;
  /** One element per server. */
  stats(): Promise<S[]>;
  ping(): Promise<void>;
  /** Resolves with the number of copies queued for delivery. Present only if the backend supports signals. */
  publish?(channel: string, payload: string): Promise<number>;
  /**
   * Subscribes soon after the call, and again after every lost connection. Returns a function that unsubscribes;
   * nothing is called after it.
   */
  subscribe?(pattern: string, group: string | undefined, taker: SignalTaker): () => void;
  onLink(callback: (event: LinkEvent) => void): () => void;
  /**
   * Asks the client to renew this grant now because something happened on its connection; without a grant, all of them.
   * Returns a function that unsubscribes.
   */
  onSuspect?(callback: (grant?: Grant) => void): () => void;
  close(graceMs: Ms): Promise<void>;
}
