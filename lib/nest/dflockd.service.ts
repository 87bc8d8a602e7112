import type { Observable } from 'rxjs';
import { brand } from '../common/brand.js';
import type { Capabilities } from '../backends/backend.js';
import { printAs } from '../common/inspection.js';
import type { LockEvent, LockLostEvent } from '../locks/events/events.js';
import type { LockClient } from '../locks/lock-client.js';
import type { LockBodyOptions } from '../locks/lock-scope.js';
import type { LockHandle } from '../locks/handle/lock-handle.js';
import type { LockTicket } from '../locks/tickets/ticket.js';
import type { AcquireOptions, TicketOptions } from '../locks/acquire/acquire-options.js';
import type { LockKey } from '../locks/options/options.js';
import type { ServerStats } from '../protocol/server-stats.js';

/**
 * The lock service, for code where a decorator does not fit. Inject it by its class, or with `@InjectDflockd('name')`.
 */
export class DflockdService {
  /** Hidden when the service is printed. @internal */
  declare readonly client: LockClient<unknown>;

  /** Created by DflockdModule; applications inject it. */
  constructor(client: object) {
    // Not a private field, which mocks and proxies of the service would lack.
    Object.defineProperty(this, 'client', { value: client });
  }

  /** Plain data without secrets: where the locks live, how many are held, and whether the service is closed. */
  toJSON(): object {
    return this.client.toJSON();
  }

  /**
   * Waits for the lock, up to `acquireTimeoutS`. Release it yourself: `await using lock = await locks.acquire(key)`.
   * Several keys are acquired all or none, in the same order everywhere, under one deadline.
   * @throws AcquireTimeoutError or MaxWaitersError (busy), NestedLockError (held by the caller itself), LockKeyError,
   * ConfigError, UnsupportedError (`requireFence` or `limit` where not supported), LockUnavailableError,
   * PoolExhaustedError, MaxLocksError, LimitMismatchError, ShuttingDownError, LockLostError (`onNested` names a lost
   * lock), or the reason of `options.signal`
   */
  acquire(key: LockKey, options?: AcquireOptions): Promise<LockHandle> {
    return this.client.acquire(key, options);
  }

  /** Like acquire(), but never waits: null if the lock is busy, even if the caller itself holds it. */
  tryAcquire(key: LockKey, options?: Omit<AcquireOptions, 'acquireTimeoutS'>): Promise<LockHandle | null> {
    return this.client.tryAcquire(key, options);
  }

  /**
   * Runs `fn` under the lock and returns its result.
   * @throws the errors of acquire() and of `fn`; ConfigError if `fn` returned something still active (an Observable, a
   * generator, an async iterator, a readable stream, a StreamableFile); LockLostError if the lock was lost meanwhile
   * (its `settled` has the result; not with `onLost: 'ignore'`), or the moment it was granted: `fn` is not called then
   */
  withLock<R>(key: LockKey, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(key: LockKey, options: LockBodyOptions, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(...args: [any, any, any?]): Promise<R> {
    return this.client.withLock<R>(...args);
  }

  /**
   * Enters the queue of the key now; the ticket's `wait()` claims the lock later. The place has its own connection and
   * is outside the order of this process's other callers.
   * @throws at once NestedLockError, UnsupportedError, ShuttingDownError, LockKeyError, ConfigError, or the reason of
   * `options.signal`; all other errors come from the ticket
   */
  enqueue(key: string, options?: TicketOptions): LockTicket {
    return this.client.enqueue(key, options);
  }

  /** Resolves when every server has answered. @throws LockUnavailableError */
  ping(): Promise<void> {
    return this.client.ping();
  }

  /**
   * The stats of the servers, one element each. With a custom backend, name its type: `stats<MyStats>()`.
   * @throws LockUnavailableError
   */
  stats<S = ServerStats>(): Promise<S[]> {
    // Injection cannot know the client's backend type.
    return (this.client as LockClient<S>).stats();
  }

  /**
   * Whether the key is locked at this moment; with `limit`, whether any slot of that semaphore is held. For display
   * only: the answer may be outdated when it arrives. On dflockd the server lists all its keys for it (`stats`);
   * callers share one such request at a time, but do not poll.
   * @throws UnsupportedError if the backend cannot tell (`capabilities.inspect`), LockKeyError, ConfigError,
   * LockUnavailableError, ShuttingDownError
   */
  isLocked(key: string, options?: { limit?: number | undefined }): Promise<boolean> {
    return this.client.isLocked(key, options);
  }

  /** What the backend supports and guarantees. @throws LockUnavailableError before the first connection */
  get capabilities(): Capabilities {
    return this.client.capabilities;
  }

  /** Emits each loss of a lock held through this service. Hot, never fails, completes at shutdown. */
  get lockLost$(): Observable<LockLostEvent> {
    return this.client.lockLost$;
  }

  /**
   * Emits everything that happens to locks and connections. Hot, never fails, completes at shutdown. Free without
   * subscribers; with any, an event is created for every acquire, renewal and release. (The module's log does not
   * subscribe to it.)
   */
  get events$(): Observable<LockEvent> {
    return this.client.events$;
  }
}
brand(DflockdService, 'DflockdService');
printAs('DflockdService', DflockdService);
