import type { Observable } from 'rxjs';
import type { Capabilities, LinkEvent, LockBackend } from '../backends/backend.js';
import { Alarms } from '../common/alarms.js';
import { LockUnavailableError } from '../common/errors.js';
import { type Clock, type Entropy, systemClock, systemEntropy } from '../common/system.js';
import { makeBackend } from './backend-factory.js';
import { BackendStart } from './backend-start.js';
import { EventHub } from './event-hub.js';
import type { LockEvent, LockLostEvent } from './events.js';
import type { HeldLock } from './held-lock.js';
import { Holds } from './holds.js';
import type { LeaseKeeper } from './lease.js';
import type { LockHandle } from './lock-handle.js';
import { checkRequest, onlyKey } from './lock-request.js';
import { checkMinHold, checkOnLost, LockScope, type ScopeOptions } from './lock-scope.js';
import type { AcquireOptions, LockClientOptions, LockKey } from './options.js';
import { LockTaker } from './lock-taker.js';
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
  private readonly taker: LockTaker;
  private readonly keeper: LeaseKeeper;
  private readonly events = new EventHub<LockEvent>();
  private readonly losses = new EventHub<LockLostEvent>();
  private readonly holds: Holds;
  private readonly backendStart: BackendStart;
  private starting: Promise<void> | undefined;
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
    this.backendStart = new BackendStart(this.backend);
    this.keeper = {
      backend: this.backend,
      clock: this.clock,
      entropy,
      alarms: new Alarms(this.clock),
      renewRatio: this.options.renewRatio,
    };
    this.holds = new Holds(this.keeper, this.events, this.losses);
    this.taker = new LockTaker(this.backend, this.backendStart, this.holds, this.events, this.clock, entropy);
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
    const { capabilities } = this.backendStart;
    if (!capabilities) throw new LockUnavailableError('the capabilities are known once a server has been reached');
    return capabilities;
  }

  /**
   * Waits for the lock, at most `acquireTimeoutS`. It is renewed until released or lost.
   * @throws AcquireTimeoutError (busy), LockUnavailableError (no server), MaxLocksError, MaxWaitersError,
   *   LimitMismatchError, PoolExhaustedError, NestedLockError, ShuttingDownError, LockKeyError, ConfigError, or the
   *   reason of `options.signal`
   */
  acquire(key: LockKey, options: AcquireOptions = NO_OPTIONS): Promise<LockHandle> {
    return this.take(key, options);
  }

  /** Tries once and never waits for a holder: null if the lock is busy. @throws as acquire, but AcquireTimeoutError */
  async tryAcquire(
    key: LockKey,
    options: Omit<AcquireOptions, 'acquireTimeoutS'> = NO_OPTIONS,
  ): Promise<LockHandle | null> {
    return this.taker.tryAcquire(checkRequest(key, { ...options, acquireTimeoutS: 0 }, this.options, this.clock.now()));
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
    const lock = await this.take(key, acquire);
    return new LockScope(lock, this.holds, this.clock, minHoldMs);
  }

  /** Tells `events$` that a body was not run because its lock was busy. */
  noteSkipped(key: LockKey): void {
    this.emit({ type: 'skipped', keys: [onlyKey(key)], at: this.clock.wall() });
  }

  /** One exchange with every server. @throws LockUnavailableError */
  async ping(): Promise<void> {
    await this.ready();
    await this.backend.ping();
  }

  /** What each server says about itself. @throws LockUnavailableError */
  async stats(): Promise<ServerStats[]> {
    await this.ready();
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

  private async take(key: LockKey, options: AcquireOptions): Promise<HeldLock> {
    return this.taker.acquire(checkRequest(key, options, this.options, this.clock.now()));
  }

  private ready(): Promise<void> {
    return this.taker.ready(this.clock.now() + this.options.acquireTimeoutMs);
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
      await this.backendStart.run();
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
      if (!this.closing) this.backendStart.linkUp();
      this.taker.wake();
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
    this.taker.close();
    await this.holds.finish(this.options.shutdownTimeoutMs, CLOSE_GRACE_MS);
    await this.backend.close(CLOSE_GRACE_MS);
    this.keeper.alarms.clear();
    this.events.close();
    this.losses.close();
  }
}
