import type { Observable } from 'rxjs';
import type { BackendHost, Capabilities, LinkEvent, LockBackend } from '../backends/backend.js';
import type { ServerStats } from '../protocol/server-stats.js';
import { brand } from '../common/brand.js';
import { refuseOtherLayouts } from '../common/copies.js';
import { withOrigin } from '../common/error-origin.js';
import { LockUnavailableError } from '../common/errors.js';
import { printAs } from '../common/inspection.js';
import { rejected } from '../common/rejected.js';
import { type Clock, type Ms, systemClock, systemEntropy } from '../common/system.js';
import { makeBackend, placesOf, remarkOn } from './options/choose-backend.js';
import { BackendStart } from './acquire/backend-start.js';
import { type ClientState, nextClientState } from './client-state.js';
import { ClientEvents } from './events/client-events.js';
import type { LockEvent, LockLostEvent, LockNotice } from './events/events.js';
import type { Hold, LockedCall } from './handle/hold.js';
import { Holds } from './handle/holds.js';
import { LeaseKeeper } from './lease/lease-keeper.js';
import { refuseLiveBody } from './handle/refuse-live-result.js';
import type { LockHandle } from './handle/lock-handle.js';
import { checkRequest, checkTicketNesting, type CheckedAcquire, NO_OPTIONS } from './acquire/checked-acquire.js';
import { orderedKeys } from './acquire/key-order.js';
import { type RequestDefaults, requestDefaults } from './acquire/checked-acquire.js';
import type { LockScope, ResultCheck, ScopeOptions, LockBodyOptions } from './lock-scope.js';
import { LockAcquirer } from './acquire/lock-acquirer.js';
import type { LockTicket } from './tickets/ticket.js';
import { checkObject } from '../common/option-checks.js';
import type { AcquireOptions, TicketOptions } from './acquire/acquire-options.js';
import type { LockClientDeps, LockClientOptions, LockKey } from './options/options.js';
import { leaseWarning, limitsOf } from './options/backend-limits.js';
import { resolveOptions, type ResolvedOptions } from './options/resolve-options.js';
import { type ShownOptions, shownOptions } from './options/resolve-options.js';
import { Queries } from './queries.js';
import { Scopes, type LockBodyArgs } from './scopes.js';
import { Signals } from './signals/signals.js';
import { Tickets } from './tickets/tickets.js';

/** How long, in milliseconds, releases and connections may take during close(). */
const CLOSE_GRACE_MS = 2000;

/**
 * Distributed locks. Create one client per place where locks live, and close it.
 * @typeParam S what `stats` returns for each server
 */
export class LockClient<S = ServerStats> {
  readonly #options: ResolvedOptions;
  readonly #defaults: RequestDefaults;
  /** Publish and subscribe. */
  readonly signals: Signals;
  readonly #clock: Clock;
  readonly #log: BackendHost['log'];
  readonly #backend: LockBackend<S>;
  readonly #keeper: LeaseKeeper;
  readonly #acquirer: LockAcquirer;
  readonly #tickets: Tickets;
  readonly #queries: Queries<S>;
  readonly #scopes: Scopes;
  readonly #events = new ClientEvents();
  readonly #holds: Holds;
  readonly #backendStart: BackendStart;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #state: ClientState = 'open';

  /** Emits every lock that is lost while held. Hot; completes when the client closes. */
  readonly lockLost$: Observable<LockLostEvent> = this.#events.lockLost$;
  /**
   * Emits everything that happens. Hot; completes when the client closes. While it has subscribers, an event is created
   * for every acquire, renewal and release.
   */
  readonly events$: Observable<LockEvent> = this.#events.events$;
  /** The rare events of events$, for logs: costs nothing per lock. @internal */
  readonly notices$: Observable<LockNotice> = this.#events.notices$;

  /**
   * Checks the options. Connects with start(), or on first use.
   * @throws ConfigError naming option and value; for a `backend` that belongs to another client; or if two incompatible
   * versions of this package are loaded
   */
  constructor(options: LockClientOptions<S> = {}, deps: LockClientDeps = {}) {
    refuseOtherLayouts();
    this.#options = resolveOptions(options);
    this.#clock = deps.clock ?? systemClock;
    this.#log = deps.log ?? (() => undefined);
    const entropy = deps.entropy ?? systemEntropy;
    const host = { clock: this.#clock, entropy, log: this.#log };
    this.#backend = makeBackend(this.#options.backend, host) as LockBackend<S>;
    this.#defaults = requestDefaults(this.#options, limitsOf(this.#backend));
    this.#backendStart = new BackendStart(this.#backend);
    this.#keeper = new LeaseKeeper(this.#backend, this.#clock, entropy, this.#options.renewRatio);
    this.#holds = new Holds(this.#keeper, this.#events);
    this.#acquirer = new LockAcquirer(this.#keeper, this.#backendStart, this.#holds, this.#events);
    this.#scopes = new Scopes(this.take.bind(this), this.#holds, this.#clock, this.#options.maxHoldMs);
    this.#tickets = new Tickets(this.#keeper, this.#backendStart, this.#acquirer);
    // Operations other than an acquire wait for the start as long as an acquire does.
    const patience = (): Ms => this.#clock.now() + this.#options.acquireTimeoutMs;
    const ready = (): Promise<void> => this.#acquirer.ready(patience());
    const started = (): Promise<void> => this.#acquirer.started(patience());
    this.#queries = new Queries(this.#backend, this.#defaults, { origin: this.#keeper, started, ready });
    this.signals = new Signals(this.#backend, ready);
    this.#backend.onLink((event) => this.linkChanged(event));
  }

  /**
   * Creates a client and starts it.
   * @throws ConfigError, AuthError; LockUnavailableError with `startup: 'require'`
   */
  static async connect<S = ServerStats>(
    options: LockClientOptions<S> = {},
    deps: LockClientDeps = {},
  ): Promise<LockClient<S>> {
    const client = new LockClient(options, deps);
    await client.start();
    return client;
  }

  /**
   * Connects as the option `startup` says. Idempotent; a client that fails to start is closed.
   * @throws ConfigError, AuthError; LockUnavailableError with `startup: 'require'`
   */
  start(): Promise<void> {
    return (this.#starting ??= this.startUp());
  }

  /** Tells the errors of this client from those of others, see `originOf`. @internal */
  get origin(): object {
    return this.#keeper;
  }

  /** The options, checked and complete. Of a token and of TLS options, only whether they are set. */
  get options(): ShownOptions {
    return shownOptions(this.#options, this.#backend.name);
  }

  /** A remark for operators about the place where the locks live. @internal */
  get remark(): string | undefined {
    return remarkOn(this.#options.backend);
  }

  /** Plain data without secrets: where the locks live, how many are held, and whether the client is closed. */
  toJSON(): object {
    return { servers: placesOf(this.#options.backend, this.#backend.name), held: this.#holds.size, state: this.#state };
  }

  /**
   * What the backend supports and guarantees; known once any one server has been reached.
   * @throws LockUnavailableError before that
   */
  get capabilities(): Capabilities {
    const { known } = this.#backendStart;
    if (known) return known;
    const error = new LockUnavailableError('the capabilities are known once a server has been reached');
    throw withOrigin(error, this.#keeper);
  }

  /**
   * Waits for the lock, at most `acquireTimeoutS`. The lock is renewed until it is released or lost. Several keys are
   * acquired all or none, under one deadline: at once if all are free, otherwise one by one in an order shared by all.
   * @throws AcquireTimeoutError (busy), LockUnavailableError (no server), MaxLocksError, MaxWaitersError,
   * LimitMismatchError, PoolExhaustedError, NestedLockError, UnsupportedError, ShuttingDownError, LockKeyError,
   * ConfigError, LockLostError (`onNested` names a lost lock), or the reason of `options.signal`
   */
  acquire(key: LockKey, options: AcquireOptions = NO_OPTIONS): Promise<LockHandle> {
    return this.take(key, options);
  }

  /**
   * Tries once and never waits for a holder. Null if the lock is busy, even if the caller itself holds it; with several
   * keys, if any of them is.
   * @throws as acquire, except AcquireTimeoutError and NestedLockError
   */
  async tryAcquire(
    key: LockKey,
    options: Omit<AcquireOptions, 'acquireTimeoutS'> = NO_OPTIONS,
  ): Promise<LockHandle | null> {
    if (options !== NO_OPTIONS) checkObject('options', options);
    return this.#acquirer.tryAcquire(
      checkRequest(key, { ...options, acquireTimeoutS: 0 }, this.#defaults, this.#clock.now()),
    );
  }

  /**
   * Enters the queue of the key now, on a connection of its own and outside the order of this process's other callers;
   * `wait()` claims the lock later. `leaseTtlS` is the time within which a granted lock must be claimed, and its lease
   * from then on; `acquireTimeoutS` is the time that `wait()` waits.
   * @throws at once NestedLockError, UnsupportedError, ShuttingDownError, LockKeyError, ConfigError, or the reason of
   * `options.signal`; all other errors come from the ticket
   */
  enqueue(key: string, options: TicketOptions = NO_OPTIONS as TicketOptions): LockTicket {
    checkTicketNesting(options?.onNested);
    return this.#tickets.issue(checkRequest(key, options, this.#defaults, this.#clock.now()));
  }

  /**
   * Runs `fn` under the lock and releases it afterwards. Within `fn`, `currentLock()` is the handle passed to `fn`.
   * @throws ConfigError before anything is locked if the last argument is not a function; the errors of acquire and of
   * `fn`; ConfigError if `fn` returned something still active (an Observable, a generator, an async iterator, a
   * readable stream, a StreamableFile); LockLostError if the lock was lost before `fn` settled (`settled` has its
   * result; not with `onLost: 'ignore'`), or the moment it was granted: `fn` is not called then
   */
  withLock<R>(key: LockKey, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(key: LockKey, options: LockBodyOptions, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(key: LockKey, ...args: LockBodyArgs<R>): Promise<R> {
    return this.#scopes.withLock(key, args);
  }

  /**
   * Acquires a lock for work that is not a single function. close() waits for scopes as it waits for bodies. Every
   * scope must be left once all work of its parts is over.
   * @throws as acquire
   */
  async enter(key: LockKey, options: ScopeOptions = NO_OPTIONS): Promise<LockScope> {
    return this.open(key, options, undefined, (result) => refuseLiveBody(result, [key].flat()[0]!, 'enter'));
  }

  /** The basis of `withLock` and the decorators; they decide what parts may return. @internal */
  open(key: LockKey, options: ScopeOptions, call?: LockedCall, check?: ResultCheck): Promise<LockScope> {
    return this.#scopes.open(key, options, call, check);
  }

  /** Emits on `events$` that a body was skipped because its lock was busy. */
  noteSkipped(key: LockKey): void {
    const { keys } = orderedKeys(key, this.#defaults);
    this.#events.notice({ type: 'skipped', keys, at: this.#clock.wall() });
  }

  /** Exchanges one request with every server. @throws LockUnavailableError */
  ping(): Promise<void> {
    return this.#queries.ping();
  }

  /** The stats of each server. @throws LockUnavailableError */
  stats(): Promise<S[]> {
    return this.#queries.stats();
  }

  /**
   * Whether the key is locked at this moment; with `limit`, whether any slot of that semaphore is held. For display
   * only: the answer may be outdated when it arrives. On dflockd the server lists all its keys for it (`stats`);
   * callers share one such request at a time, but do not poll.
   * @throws UnsupportedError if the backend cannot tell (`capabilities.inspect`), LockKeyError, ConfigError,
   * LockUnavailableError, ShuttingDownError
   */
  isLocked(key: string, options: { limit?: number | undefined } = {}): Promise<boolean> {
    return this.#queries.isLocked(key, options);
  }

  /**
   * Shuts down in order: nothing new is acquired, waiting callers are rejected with ShuttingDownError, the signals of
   * handles from `acquire` abort (reason `shutdown`), bodies of `withLock` have `shutdownTimeoutS` to finish, remaining
   * locks are released, connections close. Idempotent; never rejects.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.shutDown());
  }

  /** Not an async function, which would cost every acquire additional microtasks. */
  private take(key: LockKey, options: AcquireOptions, call?: LockedCall): Promise<Hold> {
    let request: CheckedAcquire;
    try {
      request = checkRequest(key, options, this.#defaults, this.#clock.now(), call);
    } catch (error) {
      return rejected(withOrigin(error, this.#keeper));
    }
    return this.#acquirer.acquire(request);
  }

  private async startUp(): Promise<void> {
    const { startup, leaseMs } = this.#options;
    const warning = leaseWarning(leaseMs, this.#defaults.limits, this.#backend.name);
    if (warning) this.#log('warn', warning);
    try {
      await this.#backendStart.runAs(startup, this.#log);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  private linkChanged(event: LinkEvent): void {
    if (event.state === 'draining') this.#keeper.drain(event.server);
    this.#events.link(event, this.#clock.wall());
    if (event.state !== 'up') return;
    if (this.#state === 'open') this.#backendStart.linkUp();
    this.#acquirer.wake();
  }

  private async shutDown(): Promise<void> {
    this.#state = nextClientState(this.#state, 'close');
    this.#acquirer.close();
    this.#tickets.close();
    await this.#holds.finish(this.#options.shutdownTimeoutMs, CLOSE_GRACE_MS);
    await this.#backend.close(CLOSE_GRACE_MS).catch((error: Error) => this.#log('warn', error.message));
    this.#keeper.close();
    this.#events.close();
    this.#state = nextClientState(this.#state, 'end');
  }
}
brand(LockClient, 'LockClient');
printAs('LockClient', LockClient);
