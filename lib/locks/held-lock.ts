import type { AcquireRequest, Grant } from '../backends/backend.js';
import { LockLostError, type LossReason } from '../common/errors.js';
import type { Ms } from '../common/system.js';
import type { HeldGrant, LockEvent, LockLostEvent } from './events.js';
import { Lease, type LeaseHolder, type LeaseKeeper } from './lease.js';
import type { LockHandle } from './lock-handle.js';
import { checkLease } from './resolve-options.js';

/** Where a hold reports to. */
export interface HoldObserver {
  /** Whether anybody listens to events. */
  readonly observed: boolean;
  emit(event: LockEvent): void;
  lost(event: LockLostEvent): void;
  /** The hold is over, one way or the other; once. */
  ended(hold: HeldLock): void;
}

export interface HoldStart {
  readonly key: string;
  readonly waitedMs: Ms;
  /** What was asked for; 0 leaves the length of the lease to the server. */
  readonly leaseMs: Ms;
}

/** held → released | lost. */
type Fate = { is: 'held' } | { is: 'released' } | { is: 'lost'; error: LockLostError };

/** A lock in somebody's hands. */
export class HeldLock implements LockHandle, LeaseHolder {
  readonly keys: readonly string[];
  readonly waitedMs: Ms;
  private readonly lease: Lease;
  private readonly since: Ms;
  private fate: Fate = { is: 'held' };
  private controller: AbortController | undefined;
  /** Why the holder was asked to stop although it still has the lock. */
  private notice: Error | undefined;
  private releasing: Promise<boolean> | undefined;

  constructor(
    private readonly keeper: LeaseKeeper,
    grant: Grant,
    start: HoldStart,
    private readonly observer: HoldObserver,
  ) {
    this.keys = [start.key];
    this.waitedMs = start.waitedMs;
    this.since = keeper.clock.now();
    this.lease = new Lease(keeper, grant, start.leaseMs || grant.leaseMs, this);
  }

  get grants(): readonly HeldGrant[] {
    const { token, fence, server } = this.lease.grant;
    return [{ key: this.keys[0]!, token, server, ...(fence === undefined ? undefined : { fence }) }];
  }

  get token(): string {
    return this.lease.grant.token;
  }

  get fence(): bigint | undefined {
    return this.lease.grant.fence;
  }

  /** Whether this hold stands in the way of that request. */
  isFor(req: AcquireRequest): boolean {
    const mine = this.lease.grant.req;
    return !this.isOver && mine.limit === 1 && mine.kind === req.kind && mine.key === req.key;
  }

  get isHeld(): boolean {
    return this.lease.isHeld;
  }

  get remainingMs(): Ms {
    return this.lease.remainingMs;
  }

  /** Released, being released, or lost. */
  get isOver(): boolean {
    return this.lease.ended;
  }

  get signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController();
      const reason = this.loss ?? this.notice;
      if (reason) this.controller.abort(reason);
    }
    return this.controller.signal;
  }

  /** The loss, once it has been declared. */
  get loss(): LockLostError | undefined {
    return this.fate.is === 'lost' ? this.fate.error : undefined;
  }

  assertHeld(): void {
    if (!this.isHeld) throw this.loss ?? this.lossOf('expired');
  }

  async renew(leaseTtlS?: number): Promise<Ms> {
    if (this.loss) throw this.loss;
    // A hold that is being released has nothing left to renew.
    if (this.lease.ended) throw this.lossOf('expired');
    try {
      return await this.lease.renew(checkLease(leaseTtlS));
    } catch (error) {
      throw this.loss ?? (error instanceof LockLostError ? this.lossOf(error.reason, error) : error);
    }
  }

  release(): Promise<boolean> {
    return (this.releasing ??= this.giveBack());
  }

  /**
   * As release(), but keeps others out for another `keepMs`. Where the lock hangs on a connection, that connection stays
   * until then; where the client closes earlier, the lock is free earlier.
   */
  releaseAfter(keepMs: Ms): Promise<boolean> {
    return (this.releasing ??= this.giveBack(keepMs));
  }

  /** Waits out a doubt and returns the loss if there is one. */
  async settle(): Promise<LockLostError | undefined> {
    await this.lease.check();
    return this.loss;
  }

  /** Asks the holder to stop: its signal aborts. The lock is still held and renewed. */
  notify(reason: Error): void {
    if (this.fate.is !== 'held' || this.notice) return;
    this.notice = reason;
    this.controller?.abort(reason);
  }

  /** Takes the lock from its holder and gives it back to the server. */
  async revoke(reason: LossReason): Promise<void> {
    if (this.lease.ended) {
      await this.releasing;
      return;
    }
    this.lease.end();
    this.lost(reason, undefined);
    this.releasing = Promise.resolve(false);
    await this.keeper.backend.release(this.lease.grant).catch(() => undefined);
  }

  toJSON(): object {
    // Without tokens: who has one can release the lock.
    const { fence, server } = this.lease.grant;
    return { keys: this.keys, server, fence: fence?.toString(), isHeld: this.isHeld, waitedMs: this.waitedMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  /** LeaseHolder */
  renewed(leaseMs: Ms): void {
    if (this.observer.observed) {
      this.observer.emit({ type: 'renewed', keys: this.keys, leaseMs, at: this.keeper.clock.wall() });
    }
  }

  /** LeaseHolder */
  lost(reason: LossReason, cause: Error | undefined): void {
    const error = this.lossOf(reason, cause);
    this.fate = { is: 'lost', error };
    this.observer.ended(this);
    this.controller?.abort(error);
    this.observer.lost(this.lossEvent(reason, error));
  }

  private lossOf(reason: LossReason, cause?: Error): LockLostError {
    return new LockLostError(this.keys[0]!, reason, { server: this.lease.grant.server, cause });
  }

  private lossEvent(reason: LossReason, error: LockLostError): LockLostEvent {
    const { req, server } = this.lease.grant;
    const { clock } = this.keeper;
    return {
      type: 'lost',
      keys: this.keys,
      grants: this.grants,
      ...(req.kind === 'sem' ? { limit: req.limit } : undefined),
      reason,
      heldMs: clock.now() - this.since,
      server,
      at: clock.wall(),
      error,
    };
  }

  private async giveBack(keepMs?: Ms): Promise<boolean> {
    if (this.lease.ended) return false;
    this.lease.end();
    let answer: 'released' | 'gone';
    try {
      answer = await this.keeper.backend.release(this.lease.grant, keepMs);
    } catch {
      // Nobody could be told: the lease ends it.
      answer = 'released';
    }
    if (answer === 'gone') {
      this.lost('rejected', undefined);
      return false;
    }
    this.fate = { is: 'released' };
    this.observer.ended(this);
    if (this.observer.observed) {
      const { clock } = this.keeper;
      this.observer.emit({ type: 'released', keys: this.keys, heldMs: clock.now() - this.since, at: clock.wall() });
    }
    return true;
  }
}
