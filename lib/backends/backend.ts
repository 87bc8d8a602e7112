import type { LockError, LossReason } from '../common/errors.js';
import type { Clock, Entropy, Ms } from '../common/system.js';

/** What a backend can do and what it promises. What it cannot do it refuses with a typed error; it never pretends. */
export interface Capabilities {
  /** What a lost connection costs: the lock at once, or nothing before its lease is over. */
  ownership: 'connection' | 'lease';
  /** The order in which waiters are served: of all, within a process, none. */
  order: 'strict' | 'per-process' | 'none';
  fence: 'none' | 'per-key';
  semaphores: boolean;
  tickets: boolean;
  signals: boolean;
  /** `dump`: isLocked reads everything the server knows. */
  inspect: 'key' | 'dump' | 'none';
  /** The server counts leases in this unit; what is asked for is rounded up. */
  leaseUnitMs: Ms;
  /** The shortest lease that the server grants; who asks for less gets this. */
  minLeaseMs: Ms;
  /** A client whose `leaseTtlS` is shorter warns in its log. Default 0: no advice. */
  adviseLeaseMs?: Ms | undefined;
  /**
   * The server counts waits in this unit: a place in its queue may outlast its deadline by so much. The waiter hears of
   * the deadline in time.
   */
  waitUnitMs: Ms;
  /** At least 65; Infinity: no limit. Of a longer key, the beginning and a hash go to the server. */
  maxKeyBytes: number;
  /** A hold can outlive its process (minimum hold). */
  keepAfterRelease: boolean;
}

/** What a key names: a lock, or a semaphore of some slots. The two have nothing to do with each other. */
export type LockKind = 'lock' | 'sem';

export interface AcquireRequest {
  /** The key on the wire: namespace included, not yet encoded. */
  readonly key: string;
  readonly kind: LockKind;
  /** 1 for a lock. */
  readonly limit: number;
  /** 0: the server's default. */
  readonly leaseMs: Ms;
  /** Monotonic point in time at which waiting ends; of a try the one at which it was asked for. */
  readonly deadline: Ms;
}

/**
 * Evidence that a lock is held: at least until min(validFrom + leaseMs, owner.provenUntil()). `validFrom` is never later
 * than the server's own start of the lease: the send time of the request that was answered.
 */
export interface Proof {
  readonly validFrom: Ms;
  readonly leaseMs: Ms;
}

/** What a grant hangs on: a connection to dflockd, the engine in this process, a lease id, … */
export interface Owner {
  readonly id: string;
  /** Until when the owner is known to be alive; Infinity where a connection costs nothing. */
  provenUntil(): Ms;
  /** Called in the turn in which the owner is lost. Returns the unsubscription. */
  onLost(callback: (reason: LossReason, error?: Error) => void): () => void;
}

export interface Grant extends Proof {
  readonly req: AcquireRequest;
  readonly token: string;
  /**
   * The lease that was asked for, 0: the server's default, where a shorter one was granted to begin with: it is to be renewed to
   * this in the turn in which it is granted. Until that is answered the lease is what it is.
   */
  readonly wantedMs?: Ms | undefined;
  /** Rises with each grant of a key, where the backend has such a thing. */
  readonly fence?: bigint | undefined;
  /** Routed once: renew and release go there and nowhere else. */
  readonly server: string;
  readonly owner: Owner;
}

/**
 * Who waits for a grant. Either `granted` or `refused` is called, once, in the turn in which it is known, which may be
 * before enqueue() has returned. Callbacks instead of promises, because there is one for each lock that is taken. They
 * must not throw.
 */
export interface Waiter {
  /** Renews what it gets: a grant with a shorter lease is enough to begin with (Grant.wantedMs). Default false. */
  readonly autoRenew?: boolean | undefined;
  /** `queued`: waits in a queue from now on; may be said more than once. `acquired`: the grant is there or on its way. */
  onPlaced(place: Placement): void;
  granted(grant: Grant): void;
  /** AcquireTimeoutError at the deadline, LockUnavailableError, MaxLocksError, … */
  refused(error: unknown): void;
}

export type Placement = 'acquired' | 'queued';

/** A place in the queue, from the moment enqueue() was called. */
export interface Pending {
  /**
   * Gives up at once: the waiter hears nothing more. A grant which still arrives is freed by the backend. Does nothing once
   * the waiter has been answered.
   */
  cancel(): void;
}

/** What came of a release. 'gone': was not held any more; an error: nobody knows, and the lease ends it. */
export type Released = 'released' | 'gone' | Error;

/**
 * Something about a server. `up`, `down`: the connection was made, was lost. `draining`: it shuts down; its locks stay
 * until their connections end. `degraded`: it serves less well than it should, as `detail` says.
 */
export interface LinkEvent {
  readonly server: string;
  readonly state: 'up' | 'down' | 'draining' | 'degraded';
  readonly error?: Error | undefined;
  /** Of `degraded`: what, and which option changes it. */
  readonly detail?: string | undefined;
}

/** Somebody who listens to signals. Called in the turn in which it happens; must not throw. */
export interface SignalTaker {
  signal(channel: string, payload: string): void;
  /** Nothing will come any more: UnsupportedError, AuthError, ConfigError; ShuttingDownError at the close. */
  failed(error: LockError): void;
}

/** What a backend gets from the client that it works for. */
export interface BackendHost {
  /** Deadlines and proofs are points in time of this clock. */
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** For operators; in Nest, the logger of the module. */
  readonly log: (level: 'warn', message: string) => void;
}

/**
 * Makes the backend of one client, which starts and closes it. Called in the constructor of the client; must return a new
 * backend each time, and connect nothing before its start. May throw a ConfigError.
 */
export type BackendFactory<S = unknown> = (host: BackendHost) => LockBackend<S>;

/**
 * The seam between what users hold (lib/locks) and where locks live. A method fails by a LockError, thrown or as a rejection;
 * `isTransient` says whether a wait goes on. Anything else that it throws counts as a mistake and becomes a BackendError.
 * @typeParam S what it tells of a server
 */
export interface LockBackend<S = unknown> {
  readonly name: string;
  /**
   * What it promises, known before the start. Key length, lease unit, least and advised lease are read once, when the client
   * is made: they must not change.
   */
  readonly capabilities: Capabilities;
  /**
   * Connects and probes. Rejects with ConfigError, AuthError, LockUnavailableError; after a transient error it goes on trying
   * by itself.
   */
  start(): Promise<Capabilities>;
  /** One try that does not wait; null if somebody else has it. */
  tryAcquire(req: AcquireRequest): Promise<Grant | null>;
  /** `ticket`: a place of its own, taken at once; its deadline may be Infinity. */
  enqueue(req: AcquireRequest, mode: 'queue' | 'ticket', waiter: Waiter): Pending;
  /** Rejects with LockLostError (final), or with another error, after which it is tried again while the proof lasts. */
  renew(grant: Grant, leaseMs: Ms): Promise<Proof>;
  /**
   * Calls `done` once, in the turn in which the outcome is known, which may be before release() has returned. `keepMs` above
   * 0: shorten or extend the lease to this instead of freeing. Must not throw.
   */
  release(grant: Grant, done: (outcome: Released) => void, keepMs?: Ms): void;
  /** Frees it somehow, or leaves it to the lease. Never throws. */
  abandon(grant: Grant): void;
  isLocked?(key: string, kind: LockKind): Promise<boolean>;
  /** One element per server. */
  stats(): Promise<S[]>;
  ping(): Promise<void>;
  /** How many copies were put into buffers. Where there are signals at all. */
  publish?(channel: string, payload: string): Promise<number>;
  /** Listens from soon on, again after every lost connection. Returns the end of it, after which nothing is called. */
  subscribe?(pattern: string, group: string | undefined, taker: SignalTaker): () => void;
  onLink(callback: (event: LinkEvent) => void): () => void;
  /** "Renew this one now": something happened on its connection; without a grant, all of them. Returns the unsubscription. */
  onSuspect?(callback: (grant?: Grant) => void): () => void;
  close(graceMs: Ms): Promise<void>;
}
