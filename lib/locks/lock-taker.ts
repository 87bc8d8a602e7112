import type { Grant, LockBackend } from '../backends/backend.js';
import {
  AcquireTimeoutError,
  LockError,
  LockUnavailableError,
  NestedLockError,
  ShuttingDownError,
  UnsupportedError,
} from '../common/errors.js';
import type { Clock, Entropy, Ms } from '../common/system.js';
import { Acquirer } from './acquirer.js';
import type { BackendStart } from './backend-start.js';
import { findCurrentLock } from './current-lock.js';
import type { EventHub } from './event-hub.js';
import type { LockEvent } from './events.js';
import { HeldLock } from './held-lock.js';
import type { Holds } from './holds.js';
import type { LockRequest } from './lock-request.js';

/** From a checked request to a lock in its caller's hands. */
export class LockTaker {
  private readonly acquirer: Acquirer;
  private isClosed = false;

  constructor(
    private readonly backend: LockBackend,
    private readonly start: BackendStart,
    private readonly holds: Holds,
    private readonly events: EventHub<LockEvent>,
    private readonly clock: Clock,
    entropy: Entropy,
  ) {
    this.acquirer = new Acquirer(backend, clock, entropy);
  }

  async acquire(request: LockRequest): Promise<HeldLock> {
    if (this.isNested(request)) throw new NestedLockError(request.key);
    if (request.waitMs === 0) {
      const lock = await this.tryAcquire(request);
      if (lock) return lock;
      throw this.timedOut(request);
    }
    const { wire, signal, key } = request;
    const since = this.clock.now();
    if (!this.start.isDecided) await this.ready(wire.deadline, signal);
    this.assertUsable(request);
    const queued = this.events.observed
      ? () => this.events.emit({ type: 'queued', keys: [key], at: this.clock.wall() })
      : undefined;
    let grant: Grant;
    try {
      grant = await this.acquirer.acquire(wire, signal, queued);
    } catch (error) {
      throw error instanceof AcquireTimeoutError ? this.timedOut(request) : explained(error, key);
    }
    return this.hold(request, grant, since);
  }

  async tryAcquire(request: LockRequest): Promise<HeldLock | null> {
    if (this.isNested(request)) return null;
    const { wire, signal, key } = request;
    const since = this.clock.now();
    if (!this.start.isDecided) await this.ready(Infinity, signal);
    this.assertUsable(request);
    let grant: Grant | null;
    try {
      grant = await this.acquirer.tryAcquire(wire, signal);
    } catch (error) {
      throw explained(error, key);
    }
    return grant && this.hold(request, grant, since);
  }

  /** Waits for the start of the backend, no longer than until the deadline. */
  async ready(deadline: Ms, signal?: AbortSignal): Promise<void> {
    if (this.isClosed) throw new ShuttingDownError();
    if (this.start.isDecided) return;
    try {
      await this.acquirer.until(this.start.run(), deadline, signal);
    } catch (error) {
      // What comes next says itself what it can do without a server.
      if (!(error instanceof LockUnavailableError)) throw error;
    }
  }

  /** Those who pause before another attempt make it now. */
  wake(): void {
    this.acquirer.wake();
  }

  /** Nothing new; all that wait are rejected. */
  close(): void {
    this.isClosed = true;
    this.acquirer.cancelAll(new ShuttingDownError());
  }

  private hold(request: LockRequest, grant: Grant, since: Ms): HeldLock {
    if (this.isClosed) {
      this.backend.abandon(grant);
      throw new ShuttingDownError({ key: request.key });
    }
    const waitedMs = this.clock.now() - since;
    return this.holds.add(grant, { key: request.key, waitedMs, leaseMs: request.wire.leaseMs });
  }

  /** Whether the calling code runs under this very lock: waiting for it would be waiting for itself. */
  private isNested({ wire }: LockRequest): boolean {
    const isOurs = (lock: unknown): boolean => lock instanceof HeldLock && this.holds.has(lock) && lock.isFor(wire);
    return wire.limit === 1 && findCurrentLock(isOurs) !== undefined;
  }

  private assertUsable({ key, wire }: LockRequest): void {
    if (this.isClosed) throw new ShuttingDownError({ key });
    if (wire.kind === 'sem' && this.start.capabilities?.semaphores === false) {
      throw new UnsupportedError(`${this.backend.name} has no semaphores (option limit)`, { key });
    }
  }

  private timedOut({ key, waitMs }: LockRequest): AcquireTimeoutError {
    if (this.events.observed) {
      this.events.emit({ type: 'timeout', keys: [key], waitedMs: waitMs, at: this.clock.wall() });
    }
    return new AcquireTimeoutError(key);
  }
}

/** The backend knows keys as they are on the wire; users see what they wrote. */
function explained(error: unknown, key: string): unknown {
  if (error instanceof LockError && error.key !== undefined) Object.assign(error, { key });
  return error;
}
