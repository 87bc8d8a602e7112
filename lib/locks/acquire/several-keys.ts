import type { AcquireRequest, LockBackend } from '../../backends/backend.js';
import { whenAborted } from '../../common/abort.js';
import {
  AcquireTimeoutError,
  LockUnavailableError,
  type LossReason,
  type ServerDrainingError,
} from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { isTransient } from '../../common/transient.js';
import type { BackendAcquirer } from './backend-acquirer.js';
import { releaseAll } from '../handle/release-all.js';
import type { Lease, LeaseHolder } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { CheckedAcquire } from './checked-acquire.js';

/** Grants that are to become one hold, renewed while the rest is waited for. */
class Collection implements LeaseHolder {
  private readonly byKey: (Lease | undefined)[] = [];
  private readonly stopper = new AbortController();
  private broken = false;

  constructor(private readonly size: number) {}

  /** Aborts when one of the grants cannot be relied on any more, and when the caller gives up. */
  get signal(): AbortSignal {
    return this.stopper.signal;
  }

  /** Whether it was one of the grants. */
  get isBroken(): boolean {
    return this.broken;
  }

  stop(reason: unknown): void {
    this.stopper.abort(reason);
  }

  /** Those that there are, in the order of the keys. */
  get leases(): readonly Lease[] {
    return this.byKey.filter((lease) => lease !== undefined);
  }

  put(index: number, lease: Lease): void {
    this.byKey[index] = lease;
    lease.handTo(this, 'auto');
  }

  /** Whether all are there and held, which is looked at when the last has come. */
  async isWhole(): Promise<boolean> {
    for (const lease of this.leases) await lease.check();
    return this.leases.length === this.size && !this.signal.aborted;
  }

  /** Nobody is to be told any more. Never throws. */
  async giveBack(backend: LockBackend): Promise<void> {
    const live = this.leases.filter((lease) => !lease.ended);
    for (const lease of live) lease.end();
    await releaseAll(backend, live);
  }

  /** LeaseHolder */
  renewed(): void {
    // Nobody has it yet.
  }

  /** LeaseHolder */
  draining(error: ServerDrainingError): void {
    this.break(error);
  }

  /** LeaseHolder */
  lost(_lease: Lease, reason: LossReason, cause: Error | undefined): void {
    this.break(cause, reason);
  }

  private break(cause: Error | undefined, reason: LossReason = 'draining'): void {
    if (this.signal.aborted) return;
    this.broken = true;
    this.stop(new LockUnavailableError(`lost (${reason}) while other keys were waited for`, { cause }));
  }
}

/** Takes several keys, all or none. */
export class SeveralKeys {
  constructor(
    private readonly keeper: LeaseKeeper,
    private readonly acquirer: BackendAcquirer,
  ) {}

  /**
   * One try for each key; all leave in one write. Null if somebody has one of them; nothing is kept then.
   * @throws the reason of the signal, or the first backend's error
   */
  async try(request: CheckedAcquire): Promise<readonly Lease[] | null> {
    const { wires, signal } = request;
    const patience = request.waitMs > 0 ? request.deadline : Infinity;
    const collection = new Collection(wires.length);
    const tries = await Promise.allSettled(
      wires.map((wire, i) => this.tryOne(wire, i, { signal, patience, collection })),
    );
    if (await collection.isWhole()) return collection.leases;
    const returned = collection.giveBack(this.keeper.backend);
    const failed = tries.find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
    // Who is refused will try again: what was taken should be free by then. It is on its way, whatever the answer.
    await this.acquirer.until(returned, patience, signal).catch((error: unknown) => {
      if (!(error instanceof LockUnavailableError)) throw error;
    });
    return null;
  }

  /**
   * Tries all at once, and if that fails takes them one after the other, waiting for each: in the order that everybody
   * keeps, so that nobody waits in a circle. What is lost meanwhile makes it begin again.
   * @throws AcquireTimeoutError, the reason of the signal, or the error that the last attempt met
   */
  async acquire(request: CheckedAcquire, queued: (() => void) | undefined): Promise<readonly Lease[]> {
    const { clock, backend } = this.keeper;
    try {
      const leases = await this.try(request);
      if (leases) return leases;
    } catch (error) {
      if (!isTransient(error) || this.isLate(request)) throw error;
    }
    for (;;) {
      const collection = new Collection(request.wires.length);
      try {
        return await this.oneByOne(request, collection, queued);
      } catch (error) {
        void collection.giveBack(backend);
        if (!collection.isBroken || clock.now() >= request.deadline) throw error;
      }
    }
  }

  private async tryOne(
    wire: AcquireRequest,
    index: number,
    { signal, patience, collection }: { signal: AbortSignal | undefined; patience: Ms; collection: Collection },
  ): Promise<void> {
    const grant = await this.acquirer.tryAcquire(wire, signal, patience);
    if (grant) collection.put(index, this.keeper.keep(grant, wire.leaseMs, 'auto'));
  }

  /** Whether the time to wait is over. Without any, each key has a try. */
  private isLate({ waitMs, deadline }: CheckedAcquire): boolean {
    return waitMs > 0 && this.keeper.clock.now() >= deadline;
  }

  private async oneByOne(
    request: CheckedAcquire,
    collection: Collection,
    queued: (() => void) | undefined,
  ): Promise<readonly Lease[]> {
    const { wires, signal, autoRenew } = request;
    signal?.throwIfAborted();
    const ignoreAbort = signal && whenAborted(signal, () => collection.stop(signal.reason));
    try {
      for (const [index, wire] of wires.entries()) {
        // A backend takes what is asked for late for a try, which may be answered later still.
        if (this.isLate(request)) throw new AcquireTimeoutError(wire.key);
        const grant = await this.acquirer.acquire(wire, collection.signal, queued, autoRenew);
        collection.put(index, this.keeper.keep(grant, wire.leaseMs, 'auto'));
      }
      if (!(await collection.isWhole())) throw collection.signal.reason;
      return collection.leases;
    } finally {
      ignoreAbort?.();
    }
  }
}
