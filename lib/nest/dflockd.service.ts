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

/** Locks by hand, where a decorator does not fit. Inject it by its class, or with `@InjectDflockd('name')`. */
export class DflockdService {
  /** Not shown where the service is printed. @internal */
  declare readonly client: LockClient<unknown>;

  /** Made by DflockdModule; applications inject it. */
  constructor(client: object) {
    // Not a private field: mocks and proxies of the service have none.
    Object.defineProperty(this, 'client', { value: client });
  }

  /** Plain data, without secrets: where the locks live, how many are held, and whether the service is closed. */
  toJSON(): object {
    return this.client.toJSON();
  }

  /**
   * Waits for the lock, up to `acquireTimeoutS`. Release it yourself: `await using lock = await locks.acquire(key)`.
   * Several keys are taken all or none, in one order everywhere, under one deadline.
   * @throws AcquireTimeoutError or MaxWaitersError (busy), NestedLockError (held by the caller itself), LockKeyError,
   * ConfigError, UnsupportedError (`requireFence`, `limit` where there is no such thing), LockUnavailableError,
   * PoolExhaustedError, MaxLocksError, LimitMismatchError, ShuttingDownError, LockLostError (`onNested` names a lock that was
   * lost), or the reason of `options.signal`
   */
  acquire(key: LockKey, options?: AcquireOptions): Promise<LockHandle> {
    return this.client.acquire(key, options);
  }

  /** As acquire(), but never waits: null if the lock is busy, even if the caller itself holds it. */
  tryAcquire(key: LockKey, options?: Omit<AcquireOptions, 'acquireTimeoutS'>): Promise<LockHandle | null> {
    return this.client.tryAcquire(key, options);
  }

  /**
   * Runs `fn` under the lock and returns its result.
   * @throws what acquire() throws, what `fn` throws, ConfigError if `fn` returned what would go on without the lock (an
   * Observable, a generator, an async iterator, a readable stream, a StreamableFile), and LockLostError if the lock was lost
   * meanwhile (its `settled` has the result; not with `onLost: 'ignore'`)
   */
  withLock<R>(key: LockKey, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(key: LockKey, options: LockBodyOptions, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(...args: [any, any, any?]): Promise<R> {
    return this.client.withLock<R>(...args);
  }

  /**
   * Takes a place in the queue of the key now; the ticket's `wait()` claims the lock later. The place is outside the order
   * in which callers of this process wait, on a connection of its own.
   * @throws at once NestedLockError, UnsupportedError, ShuttingDownError, LockKeyError, ConfigError, or the reason of
   * `options.signal`; the rest comes from the ticket
   */
  enqueue(key: string, options?: TicketOptions): LockTicket {
    return this.client.enqueue(key, options);
  }

  /** Resolves when every server has answered. @throws LockUnavailableError */
  ping(): Promise<void> {
    return this.client.ping();
  }

  /**
   * What the servers tell about themselves, one element each. With a backend of your own, name what it tells:
   * `stats<MyStats>()`.
   * @throws LockUnavailableError
   */
  stats<S = ServerStats>(): Promise<S[]> {
    // Injection cannot know of which backend the client is.
    return (this.client as LockClient<S>).stats();
  }

  /**
   * Whether anybody holds the key at this moment; with `limit`, any slot of that semaphore. To be shown, not to be relied on:
   * the answer may be over when it arrives. On dflockd the server lists all its keys for it (`stats`): callers share one such
   * request at a time, but do not poll.
   * @throws UnsupportedError where the backend cannot tell (`capabilities.inspect`), LockKeyError, ConfigError,
   * LockUnavailableError, ShuttingDownError
   */
  isLocked(key: string, options?: { limit?: number | undefined }): Promise<boolean> {
    return this.client.isLocked(key, options);
  }

  /** What the backend can do and what it promises. @throws LockUnavailableError before the first connection */
  get capabilities(): Capabilities {
    return this.client.capabilities;
  }

  /** Each loss of a lock that was held through this service. Hot, never errs, completes at shutdown. */
  get lockLost$(): Observable<LockLostEvent> {
    return this.client.lockLost$;
  }

  /**
   * Everything that happens to locks and connections. Hot, never errs, completes at shutdown. Free while nobody listens;
   * while somebody does, an event is made for every acquire, renewal and release. (The module's log does not listen here.)
   */
  get events$(): Observable<LockEvent> {
    return this.client.events$;
  }
}
brand(DflockdService, 'DflockdService');
printAs('DflockdService', DflockdService);
