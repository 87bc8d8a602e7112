import type { Observable } from 'rxjs';
import type { Capabilities } from '../backends/backend.js';
import type { LockEvent, LockLostEvent } from '../locks/events.js';
import type { LockClient, WithLockOptions } from '../locks/lock-client.js';
import type { LockHandle } from '../locks/lock-handle.js';
import type { AcquireOptions, LockKey } from '../locks/options.js';
import type { ServerStats } from '../locks/server-stats.js';

/** Locks by hand, where a decorator does not fit. Inject it by its class, or with `@InjectDflockd('name')`. */
export class DflockdService {
  /** @internal */
  constructor(
    /** @internal */
    readonly client: LockClient,
  ) {}

  /**
   * Waits for the lock, up to `acquireTimeoutS`. Whoever acquires releases: `await using lock = await locks.acquire(key)`.
   * @throws AcquireTimeoutError or MaxWaitersError (busy), NestedLockError (held by the caller itself), LockKeyError,
   * ConfigError, LockUnavailableError, PoolExhaustedError, MaxLocksError, LimitMismatchError, ShuttingDownError, or the
   * reason of `options.signal`
   */
  acquire(key: LockKey, options?: AcquireOptions): Promise<LockHandle> {
    return this.client.acquire(key, options);
  }

  /** As acquire(), but never waits: null if somebody else has the lock. */
  tryAcquire(key: LockKey, options?: Omit<AcquireOptions, 'acquireTimeoutS'>): Promise<LockHandle | null> {
    return this.client.tryAcquire(key, options);
  }

  /**
   * Runs `fn` under the lock and returns its result.
   * @throws what acquire() throws, what `fn` throws, and LockLostError if the lock was lost meanwhile (its `settled` has
   * the result; not with `onLost: 'ignore'`)
   */
  withLock<R>(key: LockKey, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(key: LockKey, options: WithLockOptions, fn: (lock: LockHandle) => R | Promise<R>): Promise<R>;
  withLock<R>(...args: [any, any, any?]): Promise<R> {
    return this.client.withLock<R>(...args);
  }

  /** Resolves when every server has answered. @throws LockUnavailableError */
  ping(): Promise<void> {
    return this.client.ping();
  }

  /** What the servers tell about themselves, one element each. @throws LockUnavailableError */
  stats(): Promise<ServerStats[]> {
    return this.client.stats();
  }

  /** What the backend can do and what it promises. @throws LockUnavailableError before the first connection */
  get capabilities(): Capabilities {
    return this.client.capabilities;
  }

  /** Each loss of a lock that was held through this service. Hot, never errs, completes at shutdown. */
  get lockLost$(): Observable<LockLostEvent> {
    return this.client.lockLost$;
  }

  /** Everything that happens to locks and connections. Hot, never errs, completes at shutdown; free while nobody listens. */
  get events$(): Observable<LockEvent> {
    return this.client.events$;
  }
}
