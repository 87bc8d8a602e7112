import type { Grant, LockBackend } from '../../backends/backend.js';
import type { Alarms } from '../../common/alarms.js';
import { withOrigin } from '../../common/error-origin.js';
import { AcquireTimeoutError, LockError, ShuttingDownError, UnsupportedError } from '../../common/errors.js';
import { nameKey } from '../../common/shown.js';
import type { Ms } from '../../common/system.js';
import { isTransient } from '../../common/transient.js';
import { BackendAcquirer } from './backend-acquirer.js';
import type { BackendStart } from './backend-start.js';
import type { ClientEvents } from '../events/client-events.js';
import { releaseAll } from '../handle/release-all.js';
import type { Hold } from '../handle/hold.js';
import type { Holds } from '../handle/holds.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { LockHandle } from '../handle/lock-handle.js';
import type { CheckedAcquire } from './checked-acquire.js';
import { assertNotNested, namedHold, type Nesting, nestingOf } from './nesting.js';
import { PendingLock } from './pending-lock.js';
import { SeveralKeys } from './several-keys.js';

/** Turns checked requests into held locks. */
export class LockAcquirer {
  private readonly backend: LockBackend;
  private readonly acquirer: BackendAcquirer;
  private readonly severalKeys: SeveralKeys;
  private isClosed = false;

  constructor(
    readonly keeper: LeaseKeeper,
    private readonly start: BackendStart,
    private readonly holds: Holds,
    private readonly events: ClientEvents,
  ) {
    this.backend = keeper.backend;
    this.acquirer = new BackendAcquirer(keeper.backend, keeper.clock, keeper.entropy);
    this.severalKeys = new SeveralKeys(keeper, this.acquirer);
  }

  /** These alarms keep the process alive while a caller waits. */
  get alarms(): Alarms {
    return this.acquirer.alarms;
  }

  acquire(request: CheckedAcquire): Promise<Hold> {
    if (typeof request.onNested === 'object') return this.joinNamed(request, request.onNested);
    const nesting = this.nesting(request);
    const isUsual = !nesting && this.start.isDecided && request.waitMs > 0 && request.wires.length === 1;
    return isUsual ? this.acquireOne(request) : this.acquireAny(request, nesting);
  }

  async tryAcquire(request: CheckedAcquire): Promise<Hold | null> {
    if (typeof request.onNested === 'object') return this.joinNamed(request, request.onNested);
    try {
      // A lock held by the caller itself is busy too.
      return this.nesting(request) ? null : await this.tryNow(request);
    } catch (error) {
      throw withOrigin(error, this.keeper);
    }
  }

  /** Whether the caller requests a lock it already runs under, without `onNested: 'wait'`. */
  nesting(request: CheckedAcquire): Nesting | undefined {
    return request.onNested === 'wait' ? undefined : nestingOf(request, this.holds);
  }

  /** Waits for the start of the backend, but not beyond the deadline. @throws the error of the start */
  async started(deadline: Ms, signal?: AbortSignal): Promise<void> {
    if (this.isClosed) throw new ShuttingDownError();
    if (!this.start.isDecided) await this.acquirer.until(this.start.run(), deadline, signal);
  }

  /** Like started(), for operations that can do without some of the servers. */
  async ready(deadline: Ms, signal?: AbortSignal): Promise<void> {
    try {
      await this.started(deadline, signal);
    } catch (error) {
      // The operation itself reports what it cannot do without a server.
      if (!isTransient(error)) throw error;
    }
  }

  /** @throws ShuttingDownError, UnsupportedError */
  assertUsable({ keys: [key], wires: [wire], requireFence }: CheckedAcquire): void {
    if (this.isClosed) throw new ShuttingDownError({ key });
    const { capabilities } = this.start;
    if (wire!.kind === 'sem' && capabilities?.semaphores === false) {
      throw new UnsupportedError(`${this.backend.name} does not support semaphores (option limit)`, { key });
    }
    if (requireFence && capabilities?.fence === 'none') throw this.noFence(key!);
  }

  /** Turns the grants into the caller's lock. @throws ShuttingDownError, UnsupportedError, having released the grants */
  hold(request: CheckedAcquire, leases: readonly Lease[], since: Ms, now = this.keeper.clock.now()): Hold {
    const { keys, autoRenew, requireFence, around, call } = request;
    const refusal = this.isClosed
      ? new ShuttingDownError({ key: keys[0]! })
      : requireFence && leases.some(({ grant }) => grant.fence === undefined)
        ? this.noFence(keys[0]!)
        : undefined;
    if (refusal) {
      for (const lease of leases) lease.end();
      void releaseAll(this.backend, leases);
      throw withOrigin(refusal, this.keeper);
    }
    const renewals = autoRenew ? 'auto' : 'manual';
    return this.holds.add(leases, { keys, waitedMs: now - since, since: now, renewals, around, call });
  }

  noteQueued({ keys }: CheckedAcquire): void {
    if (this.events.observed) this.events.emit({ type: 'queued', keys, at: this.keeper.clock.wall() });
  }

  /** Makes paused attempts retry now. */
  wake(): void {
    this.acquirer.wake();
  }

  /** Refuses new requests and rejects all that wait. */
  close(): void {
    this.isClosed = true;
    this.acquirer.close(new ShuttingDownError());
  }

  /** The common case: one key, with one promise and nothing else per acquire. */
  private acquireOne(request: CheckedAcquire): Promise<Hold> {
    const { wires, signal, waitMs, deadline } = request;
    const since = deadline - waitMs;
    return new Promise((resolve, reject) => {
      const one = new PendingLock(this, request, since, resolve, reject);
      try {
        this.assertUsable(request);
        this.keeper.watch.sampleIfStale(since);
        this.acquirer.take(wires[0]!, signal, one);
      } catch (error) {
        reject(withOrigin(error as Error, this.keeper));
      }
    });
  }

  private async acquireAny(request: CheckedAcquire, nesting: Nesting | undefined): Promise<Hold> {
    try {
      if (nesting?.joined) return this.join(request, nesting.joined);
      assertNotNested(nesting);
      if (request.waitMs === 0) {
        const lock = await this.tryNow(request);
        if (lock) return lock;
        throw this.timedOut(request);
      }
      if (!this.start.isDecided) await this.ready(request.deadline, request.signal);
      if (request.wires.length === 1) return this.acquireOne(request);
      this.assertUsable(request);
      const since = request.deadline - request.waitMs;
      this.keeper.watch.sampleIfStale(since);
      const queued = this.events.observed ? once(() => this.noteQueued(request)) : undefined;
      let leases: readonly Lease[];
      try {
        leases = await this.severalKeys.acquire(request, queued);
      } catch (error) {
        throw this.refused(error, request);
      }
      return this.hold(request, leases, since);
    } catch (error) {
      throw withOrigin(error, this.keeper);
    }
  }

  /** Maps the error that the caller receives. */
  refused(error: unknown, request: CheckedAcquire): unknown {
    const known = explained(error, request);
    const refused = known instanceof AcquireTimeoutError ? this.timedOut(request, known.key, known.why) : known;
    return withOrigin(refused, this.keeper);
  }

  private async tryNow(request: CheckedAcquire): Promise<Hold | null> {
    const { wires, signal } = request;
    const since = this.keeper.clock.now();
    if (!this.start.isDecided) await this.ready(Infinity, signal);
    this.assertUsable(request);
    this.keeper.watch.sampleIfStale();
    let leases: readonly Lease[] | null;
    try {
      if (wires.length === 1) {
        const grant = await this.acquirer.tryAcquire(wires[0]!, signal);
        leases = grant && this.kept(request, grant);
      } else leases = await this.severalKeys.try(request);
    } catch (error) {
      throw explained(error, request);
    }
    return leases && this.hold(request, leases, since);
  }

  /** The only grant of a request, renewed from now on. */
  kept({ wires, autoRenew }: CheckedAcquire, grant: Grant): readonly Lease[] {
    return [this.keeper.keep(grant, wires[0]!.leaseMs, autoRenew ? 'auto' : 'manual')];
  }

  /** The handle proves that the caller may join. */
  private async joinNamed(request: CheckedAcquire, named: LockHandle): Promise<Hold> {
    try {
      return this.join(request, namedHold(request, named, this.holds));
    } catch (error) {
      throw withOrigin(error, this.keeper);
    }
  }

  private join({ keys, requireFence, signal, around, call }: CheckedAcquire, whole: Hold): Hold {
    if (signal?.aborted) throw signal.reason;
    if (requireFence && whole.grants.some(({ key, fence }) => keys.includes(key) && fence === undefined)) {
      throw this.noFence(keys[0]!);
    }
    return whole.join(keys, { around, call });
  }

  private noFence(key: string): UnsupportedError {
    return new UnsupportedError(`${this.backend.name} does not support fences (option requireFence)`, { key });
  }

  private timedOut({ keys, waitMs }: CheckedAcquire, busy = keys[0]!, why?: string): AcquireTimeoutError {
    if (this.events.observed) {
      this.events.emit({ type: 'timeout', keys, waitedMs: waitMs, at: this.keeper.clock.wall() });
    }
    return new AcquireTimeoutError(busy, {}, why);
  }
}

/** Replaces the key on the wire by the key as the user wrote it. */
export function explained(error: unknown, { keys, wires }: CheckedAcquire): unknown {
  if (error instanceof LockError && error.key !== undefined) {
    const index = wires.findIndex(({ key }) => key === error.key);
    nameKey(error, keys[Math.max(index, 0)]!);
  }
  return error;
}

/** Several keys have several places in queues; the caller is told once that it waits. */
function once(fn: () => void): () => void {
  let done = false;
  return () => {
    if (!done) fn();
    done = true;
  };
}
