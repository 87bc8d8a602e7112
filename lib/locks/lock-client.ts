import type { Observable } from 'rxjs';
import type { Capabilities, Grant, LinkEvent, LockBackend } from '../backends/backend.js';
import { Alarms } from '../common/alarms.js';
import {
  AcquireTimeoutError,
  LockError,
  LockUnavailableError,
  NestedLockError,
  ShuttingDownError,
  UnsupportedError,
} from '../common/errors.js';
import { type Clock, type Entropy, systemClock, systemEntropy } from '../common/system.js';
import { Acquirer } from './acquirer.js';
import { makeBackend } from './backend-factory.js';
import { findCurrentLock } from './current-lock.js';
import { EventHub } from './event-hub.js';
import type { LockEvent, LockLostEvent } from './events.js';
import { HeldLock } from './held-lock.js';
import { Holds } from './holds.js';
import type { LeaseKeeper } from './lease.js';
import type { LockHandle } from './lock-handle.js';
import { checkRequest, type LockRequest, onlyKey } from './lock-request.js';
import { checkMinHold, checkOnLost, LockScope, type ScopeOptions } from './lock-scope.js';
import type { AcquireOptions, LockClientOptions, LockKey } from './options.js';
import { resolveOptions, type ResolvedOptions } from './resolve-options.js';
import type { ServerStats } from './server-stats.js';

/** What a client takes from its surroundings. */
export interface LockClientDeps {
  readonly clock?: Clock;
  readonly entropy?: Entropy;
  /** Gets what an operator should see and no event tells. Default: nowhere. */
  readonly log?: (level: 'warn', message: string) => void;
}

export interface WithLockOptions extends ScopeOptions {
  /** `throw` (default): a lock lost under the body makes withLock reject. `ignore`: only the events tell. */
  onLost?: 'throw' | 'ignore';
}

const NO_OPTIONS: AcquireOptions = Object.freeze({});
/** How long releases and connections may take at the end. */
const CLOSE_GRACE_MS = 2000;
/** dflockd counts whole seconds: below this a lease leaves hardly any time for its renewal. */
const SHORT_LEASE_MS = 3000;

/** Distributed locks. Make one for each place where locks live, and close it. */
export class LockClient {
  readonly options: ResolvedOptions;
  private readonly clock: Clock;
  private readonly log: (level: 'warn', message: string) => void;
  private readonly backend: LockBackend;
  private readonly acquirer: Acquirer;
  private readonly keeper: LeaseKeeper;
  private readonly events = new EventHub<LockEvent>();
  private readonly losses = new EventHub<LockLostEvent>();
  private readonly holds: Holds;
  private known: Capabilities | undefined;
  private startFailed = false;
  private starting: Promise<void> | undefined;
  private connecting: Promise<void> | undefined;
  private closing: Promise<void> | undefined;

  /** Every lock that was lost while held. Hot; completes when the client closes. */
  readonly lockLost$: Observable<LockLostEvent> = this.losses.stream;
  /** Everything that happens. Hot; completes when the client closes. */
  readonly events$: Observable<LockEvent> = this.events.stream;

  /**
   * Checks the options; connects with start(), or on first use.
   * @throws ConfigError that names option and value
   */
  constructor(options: LockClientOptions = {}, deps: LockClientDeps = {}) {
    this.options = resolveOptions(options);
    this.clock = deps.clock ?? systemClock;
    this.log = deps.log ?? (() => undefined);
    const entropy = deps.entropy ?? systemEntropy;
    this.backend = makeBackend(this.options.backend, this.clock, entropy);
    this.acquirer = new Acquirer(this.backend, this.clock, entropy);
    this.keeper = {
      backend: this.backend,
      clock: this.clock,
      entropy,
      alarms: new Alarms(this.clock),
      renewRatio: this.options.renewRatio,
    };
    this.holds = new Holds(this.keeper, this.events, this.losses);
    this.backend.onLink((event) => this.linkChanged(event));
  }

  /**
   * A client that is started.
   * @throws ConfigError, AuthError; LockUnavailableError with `startup: 'require'`
   */
  static async connect(options: LockClientOptions = {}, deps: LockClientDeps = {}): Promise<LockClient> {
    const client = new LockClient(options, deps);
    await client.start();
    return client;
  }

  /**
   * Connects as the option `startup` says. Idempotent; a client that could not be started is closed.
   * @throws ConfigError, AuthError; LockUnavailableError with `startup: 'require'`
   */
  start(): Promise<void> {
    return (this.starting ??= this.startUp());
  }

  /** What the locks of this client promise. @throws LockUnavailableError before the first connection */
  get capabilities(): Capabilities {
    if (!this.known) throw new LockUnavailableError('the capabilities are known once a server has been reached');
    return this.known;
  }

  /**
   * Waits for the lock, at most `acquireTimeoutS`. It is renewed until released or lost.
   * @throws AcquireTimeoutError (busy), LockUnavailableError (no server), MaxLocksError, MaxWaitersError,
   *   LimitMismatchError, PoolExhaustedError, NestedLockError, ShuttingDownError, LockKeyError, ConfigError, or the
   *   reason of `options.signal`
   */
  acquire(key: LockKey, options: AcquireOptions = NO_OPTIONS): Promise<LockHandle> {
    return this.acquireFor(key, options);
  }

  /** Tries once and never waits for a holder: null if the lock is busy. @throws as acquire, but AcquireTimeoutError */
  async tryAcquire(
    key: LockKey,
    options: Omit<AcquireOptions, 'acquireTimeoutS'> = NO_OPTIONS,
  ): Promise<LockHandle | null> {
    return this.tryChecked(checkRequest(key, { ...options, acquireTimeoutS: 0 }, this.options, this.clock.now()));
  }

  /**
   * Runs `fn` under the lock and releases it afterwards; within, `currentLock()` is the handle that `fn` gets too.
   * @throws as acquire; what `fn` throws; LockLostError (with what `fn` returned as `settled`) if the lock was lost
   *   before `fn` had settled, unless `onLost` is 'ignore'
   */
  withLock<R>(key: LockKey, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(key: LockKey, options: WithLockOptions, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  async withLock<R>(
    key: LockKey,
    ...rest:
      [fn: (lock: LockHandle) => R | Promise<R>] | [options: WithLockOptions, fn: (lock: LockHandle) => R | Promise<R>]
  ): Promise<R> {
    const [given, fn] = rest.length === 1 ? [NO_OPTIONS as WithLockOptions, rest[0]] : rest;
    const { onLost = 'throw', ...options } = given;
    checkOnLost(onLost);
    const scope = await this.enter(key, options);
    let value: R;
    try {
      value = await scope.run(() => fn(scope.lock));
    } catch (error) {
      await scope.leave();
      throw error;
    }
    const loss = await scope.leave();
    if (loss && onLost === 'throw') {
      loss.settled = { value };
      throw loss;
    }
    return value;
  }

  /**
   * What `withLock` and the decorators stand on: acquires for a body of any shape. close() waits for scopes as it waits
   * for bodies. Every scope must be left.
   * @throws as acquire
   */
  async enter(key: LockKey, options: ScopeOptions = NO_OPTIONS): Promise<LockScope> {
    const { minHoldS, ...acquire } = options;
    const minHoldMs = checkMinHold(minHoldS);
    const lock = await this.acquireFor(key, acquire);
    return new LockScope(lock, this.holds, this.clock, minHoldMs);
  }

  /** Tells `events$` that a body was not run because its lock was busy. */
  noteSkipped(key: LockKey): void {
    this.emit({ type: 'skipped', keys: [onlyKey(key)], at: this.clock.wall() });
  }

  /** One exchange with every server. @throws LockUnavailableError */
  async ping(): Promise<void> {
    await this.begin(this.clock.now() + this.options.acquireTimeoutMs, undefined);
    await this.backend.ping();
  }

  /** What each server says about itself. @throws LockUnavailableError */
  async stats(): Promise<ServerStats[]> {
    await this.begin(this.clock.now() + this.options.acquireTimeoutMs, undefined);
    return (await this.backend.stats()) as ServerStats[];
  }

  /**
   * Orderly end: nothing new is acquired, those who wait are rejected with ShuttingDownError, handles from `acquire` get
   * their signal aborted (reason `shutdown`), bodies of `withLock` have `shutdownTimeoutS` to finish, what is left is
   * released, connections close. Idempotent; never throws.
   */
  close(): Promise<void> {
    return (this.closing ??= this.shutDown());
  }

  private async acquireFor(name: LockKey, options: AcquireOptions): Promise<HeldLock> {
    const request = checkRequest(name, options, this.options, this.clock.now());
    if (request.waitMs === 0) {
      const lock = await this.tryChecked(request, 'throw');
      if (lock) return lock;
      throw this.timedOut(request);
    }
    if (this.isNested(request)) throw new NestedLockError(request.key);
    const { wire, signal, key } = request;
    const since = this.clock.now();
    if (!this.known) await this.begin(wire.deadline, signal);
    this.assertUsable(request);
    const queued = this.events.observed
      ? () => this.emit({ type: 'queued', keys: [key], at: this.clock.wall() })
      : undefined;
    let grant: Grant;
    try {
      grant = await this.acquirer.acquire(wire, signal, queued);
    } catch (error) {
      throw error instanceof AcquireTimeoutError ? this.timedOut(request) : this.explained(error, key);
    }
    return this.hold(request, grant, since);
  }

  private async tryChecked(request: LockRequest, nested: 'null' | 'throw' = 'null'): Promise<HeldLock | null> {
    if (this.isNested(request)) {
      if (nested === 'throw') throw new NestedLockError(request.key);
      return null;
    }
    const { wire, signal, key } = request;
    const since = this.clock.now();
    if (!this.known) await this.begin(Infinity, signal);
    this.assertUsable(request);
    let grant: Grant | null;
    try {
      grant = await this.acquirer.tryAcquire(wire, signal);
    } catch (error) {
      throw this.explained(error, key);
    }
    return grant && this.hold(request, grant, since);
  }

  private hold(request: LockRequest, grant: Grant, since: number): HeldLock {
    if (this.closing) {
      this.backend.abandon(grant);
      throw new ShuttingDownError({ key: request.key });
    }
    const waitedMs = this.clock.now() - since;
    return this.holds.add(grant, { key: request.key, waitedMs, leaseMs: request.wire.leaseMs });
  }

  /** Whether the calling code runs under this very lock: waiting for it would be waiting for itself. */
  private isNested({ wire }: LockRequest): boolean {
    if (wire.limit !== 1) return false;
    return (
      findCurrentLock((lock) => lock instanceof HeldLock && this.holds.has(lock) && lock.isFor(wire)) !== undefined
    );
  }

  private assertUsable({ key, wire }: LockRequest): void {
    if (this.closing) throw new ShuttingDownError({ key });
    if (wire.kind === 'sem' && this.known?.semaphores === false) {
      throw new UnsupportedError(`${this.backend.name} has no semaphores (option limit)`, { key });
    }
  }

  private timedOut({ key, waitMs }: LockRequest): AcquireTimeoutError {
    this.emit({ type: 'timeout', keys: [key], waitedMs: waitMs, at: this.clock.wall() });
    return new AcquireTimeoutError(key);
  }

  /** The backend knows keys as they are on the wire; users see what they wrote. */
  private explained(error: unknown, key: string): unknown {
    if (error instanceof LockError && error.key !== undefined) Object.assign(error, { key });
    return error;
  }

  /** Starts the backend if it has not been, and waits no longer than until the deadline. */
  private async begin(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.closing) throw new ShuttingDownError();
    // Once a start has failed, the backend goes on trying and says itself what it can do meanwhile.
    if (this.known || this.startFailed) return;
    try {
      await this.acquirer.until(this.connect(), deadline, signal);
    } catch (error) {
      if (!(error instanceof LockUnavailableError)) throw error;
    }
  }

  private connect(): Promise<void> {
    return (this.connecting ??= this.backend.start().then(
      (capabilities) => {
        this.known = Object.freeze({ ...capabilities });
      },
      (error: unknown) => {
        if (error instanceof LockUnavailableError) {
          this.startFailed = true;
          this.connecting = undefined;
        }
        throw error;
      },
    ));
  }

  private async startUp(): Promise<void> {
    const { startup, leaseMs, backend } = this.options;
    if (backend.kind === 'remote' && leaseMs > 0 && leaseMs < SHORT_LEASE_MS) {
      this.log(
        'warn',
        `leaseTtlS ${leaseMs / 1000}: dflockd counts whole seconds; below 3 s a slow renewal costs the lock`,
      );
    }
    if (startup === 'lazy') return;
    try {
      await this.connect();
    } catch (error) {
      if (startup === 'connect' && error instanceof LockUnavailableError) {
        this.log('warn', `no connection yet: ${error.message}; trying on`);
        return;
      }
      await this.close();
      throw error;
    }
  }

  private linkChanged({ server, state, error }: LinkEvent): void {
    const at = this.clock.wall();
    if (state === 'up') {
      this.emit({ type: 'connected', server, at });
      // Where the start had found no server, its answer is still due.
      if (this.startFailed && !this.known && !this.closing) this.connect().catch(() => undefined);
      this.acquirer.wake();
    } else if (state === 'down') {
      this.emit({ type: 'disconnected', server, at, ...(error ? { error } : undefined) });
    } else {
      this.emit({ type: 'degraded', server, at, detail: 'the server is shutting down' });
    }
  }

  private emit(event: LockEvent): void {
    if (this.events.observed) this.events.emit(event);
  }

  private async shutDown(): Promise<void> {
    this.acquirer.cancelAll(new ShuttingDownError());
    await this.holds.finish(this.options.shutdownTimeoutMs, CLOSE_GRACE_MS);
    await this.backend.close(CLOSE_GRACE_MS);
    this.keeper.alarms.clear();
    this.events.close();
    this.losses.close();
  }
}
