import type { AcquireRequest, Released } from '../backends/backend.js';
import { LockLostError, type LossReason, type ServerDrainingError } from '../common/errors.js';
import { printAs } from '../common/inspection.js';
import { Listed } from '../common/linked-list.js';
import type { Ms } from '../common/system.js';
import type { HeldGrant, LockEvent, LockLostEvent, LockNotice } from './events.js';
import type { Hold, HoldStart } from './hold.js';
import { LockGrant } from './lock-grant.js';
import { jsonOf } from './lock-json.js';
import { JoinedLock } from './joined-lock.js';
import { giveBack } from './give-back.js';
import type { Lease, LeaseHolder } from './lease.js';
import type { LeaseKeeper } from './lease-keeper.js';
import { checkLease } from './resolve-options.js';

/** Where a hold reports to. */
export interface HoldObserver {
  /** Whether anybody listens to all events. */
  readonly observed: boolean;
  emit(event: LockEvent): void;
  notice(event: LockNotice): void;
  /** The hold is over, one way or the other; once. */
  ended(hold: HeldLock): void;
}

/** held → released | lost. */
type Fate = { is: 'held' } | { is: 'released' } | { is: 'lost'; error: LockLostError };

const HELD: Fate = { is: 'held' };
const RELEASED: Fate = { is: 'released' };

/** A lock in somebody's hands, or several that live and die together. */
export class HeldLock implements Hold, LeaseHolder {
  /** Its place in the list of all that are held. No field of its own: one lock would print all others. */
  readonly #listed = new Listed<HeldLock>(this);
  readonly #keeper: LeaseKeeper;
  readonly #leases: readonly Lease[];
  readonly #observer: HoldObserver;
  readonly keys: readonly string[];
  readonly waitedMs: Ms;
  readonly #since: Ms;
  #fate: Fate = HELD;
  #controller: AbortController | undefined;
  #lossListeners: Set<(loss: LockLostError) => void> | undefined;
  /** Why the holder was asked to stop although it still has the lock. */
  #notice: Error | undefined;
  #releasing: Promise<boolean> | undefined;
  #keptUntil: Ms = 0;
  /** Parts of others in this hold. */
  #parts = 0;
  #whenAlone: (() => void) | undefined;

  constructor(
    keeper: LeaseKeeper,
    leases: readonly Lease[],
    { keys, waitedMs, since, renewals }: HoldStart,
    observer: HoldObserver,
  ) {
    this.#keeper = keeper;
    this.#leases = leases;
    this.#observer = observer;
    this.keys = keys;
    this.waitedMs = waitedMs;
    this.#since = since;
    for (const lease of leases) lease.handTo(this, renewals);
  }

  get listed(): Listed<HeldLock> {
    return this.#listed;
  }

  get grants(): readonly HeldGrant[] {
    return this.#leases.map(({ grant }, i) => new LockGrant(this.keys[i]!, grant));
  }

  get token(): string {
    return this.#leases[0]!.grant.token;
  }

  get fence(): bigint | undefined {
    return this.#leases.length === 1 ? this.#leases[0]!.grant.fence : undefined;
  }

  get isHeld(): boolean {
    return this.#leases.every((lease) => lease.isHeld);
  }

  get remainingMs(): Ms {
    return Math.min(...this.#leases.map((lease) => lease.remainingMs));
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      const reason = this.loss ?? this.#notice;
      if (reason) this.#controller.abort(reason);
    }
    return this.#controller.signal;
  }

  get loss(): LockLostError | undefined {
    return this.#fate.is === 'lost' ? this.#fate.error : undefined;
  }

  onLoss(listener: (loss: LockLostError) => void): () => void {
    if (this.loss) listener(this.loss);
    else (this.#lossListeners ??= new Set()).add(listener);
    return () => void this.#lossListeners?.delete(listener);
  }

  assertHeld(): void {
    const over = this.#leases.find((lease) => !lease.isHeld);
    if (over) throw this.loss ?? this.lossOf(over, 'expired');
  }

  async renew(leaseTtlS?: number): Promise<Ms> {
    if (this.loss) throw this.loss;
    const leaseMs = checkLease(leaseTtlS);
    const outcomes = await Promise.allSettled(this.#leases.map((lease) => this.renewOne(lease, leaseMs)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw this.loss ?? failed.reason;
    return this.remainingMs;
  }

  release(): Promise<boolean> {
    return (this.#releasing ??= this.giveBack());
  }

  keepUntil(time: Ms): void {
    this.#keptUntil = Math.max(this.#keptUntil, time);
  }

  async settle(): Promise<LockLostError | undefined> {
    for (const lease of this.#leases) {
      const checked = lease.check();
      // Usually there is no doubt, and nothing to wait for.
      if (typeof checked !== 'boolean') await checked;
    }
    return this.loss;
  }

  /** Whether this is one of that client's. */
  isOf(observer: HoldObserver): boolean {
    return this.#observer === observer;
  }

  covers(req: AcquireRequest): boolean {
    return !this.#releasing && this.has(req);
  }

  /** As covers(), also while the release waits for the parts: these still run under it. */
  has({ kind, key }: AcquireRequest): boolean {
    const mine = this.#leases.some(({ grant: { req } }) => req.limit === 1 && req.kind === kind && req.key === key);
    return mine && this.isHeld;
  }

  join(keys: readonly string[]): Hold {
    this.#parts++;
    return new JoinedLock(this, keys);
  }

  /** By a part, once, when it is released. */
  partReleased(): void {
    if (--this.#parts === 0) this.#whenAlone?.();
  }

  /** Asks the holder to stop: its signal aborts. The lock is still held. */
  notify(reason: Error): void {
    if (this.#fate.is !== 'held' || this.#notice) return;
    this.#notice = reason;
    this.#controller?.abort(reason);
  }

  /** Takes the lock from its holder, parts included, and gives it back to the server. */
  async revoke(reason: LossReason): Promise<void> {
    // Ended before its fate is known: its release is under way.
    if (this.#fate.is !== 'held' || this.#leases.every((lease) => lease.ended)) {
      await this.#releasing;
      return;
    }
    for (const lease of this.#leases) lease.end();
    this.lose(this.#leases[0]!, reason, undefined);
    await giveBack(this.#keeper.backend, this.#leases);
  }

  toJSON(): object {
    return jsonOf(this, this.#leases);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  /** LeaseHolder */
  renewed(leaseMs: Ms): void {
    if (this.#observer.observed) {
      this.#observer.emit({ type: 'renewed', keys: this.keys, leaseMs, at: this.#keeper.clock.wall() });
    }
  }

  /** LeaseHolder. What settles before the loss has succeeded (rule 9). */
  draining(error: ServerDrainingError): void {
    this.notify(error);
  }

  /** LeaseHolder */
  lost(lease: Lease, reason: LossReason, cause: Error | undefined): void {
    // All or nothing: what is left of a set protects nothing any more.
    const others = this.#leases.filter((other) => !other.ended).reverse();
    for (const other of others) other.end();
    this.lose(lease, reason, cause);
    for (const other of others) this.#keeper.backend.abandon(other.grant);
  }

  private lose(lease: Lease, reason: LossReason, cause: Error | undefined): void {
    if (this.#fate.is !== 'held') return;
    const error = this.lossOf(lease, reason, cause);
    this.#fate = { is: 'lost', error };
    this.#observer.ended(this);
    this.#controller?.abort(error);
    this.#lossListeners?.forEach((listener) => listener(error));
    this.#whenAlone?.();
    this.#observer.notice(this.lossEvent(lease, reason, error));
  }

  private lossOf(lease: Lease, reason: LossReason, cause?: Error): LockLostError {
    return new LockLostError(this.keys[this.#leases.indexOf(lease)]!, reason, { server: lease.grant.server, cause });
  }

  private lossEvent({ grant }: Lease, reason: LossReason, error: LockLostError): LockLostEvent {
    const { req, server } = grant;
    const { clock } = this.#keeper;
    return {
      type: 'lost',
      keys: this.keys,
      grants: this.grants,
      ...(req.kind === 'sem' ? { limit: req.limit } : undefined),
      reason,
      heldMs: clock.now() - this.#since,
      server,
      at: clock.wall(),
      error,
    };
  }

  private async renewOne(lease: Lease, leaseMs: Ms | undefined): Promise<void> {
    // A hold that is being released has nothing left to renew.
    if (lease.ended) throw this.lossOf(lease, 'expired');
    try {
      await lease.renew(leaseMs);
    } catch (error) {
      throw error instanceof LockLostError ? this.lossOf(lease, error.reason, error) : error;
    }
  }

  private giveBack(): Promise<boolean> {
    if (this.#fate.is !== 'held') return Promise.resolve(false);
    return this.#parts > 0 ? this.giveBackAlone() : this.giveBackNow();
  }

  /** Detached tasks inherit the context, and with it their parts, which may outlast the body. */
  private async giveBackAlone(): Promise<boolean> {
    await new Promise<void>((resolve) => (this.#whenAlone = resolve));
    return this.loss ? false : this.giveBackNow();
  }

  private giveBackNow(): Promise<boolean> {
    const leases = this.#leases;
    const keptUntil = this.#keptUntil;
    const keeper = this.#keeper;
    const { backend, clock } = keeper;
    for (const lease of leases) lease.end();
    const keepMs = keptUntil === 0 ? 0 : Math.max(keptUntil - clock.now(), 0);
    if (leases.length > 1) {
      return giveBack(backend, leases, keepMs).then((gone) => this.givenBack(gone));
    }
    const [first] = leases as [Lease];
    return new Promise((resolve) => {
      const done = (outcome: Released): void => resolve(this.givenBack(outcome === 'gone' ? first : undefined));
      backend.release(first.grant, done, keepMs);
    });
  }

  /** @param gone was not held any more */
  private givenBack(gone: Lease | undefined): boolean {
    if (gone) {
      this.lose(gone, 'rejected', undefined);
      return false;
    }
    this.#fate = RELEASED;
    this.#observer.ended(this);
    if (this.#observer.observed) {
      const { clock } = this.#keeper;
      this.#observer.emit({ type: 'released', keys: this.keys, heldMs: clock.now() - this.#since, at: clock.wall() });
    }
    return true;
  }
}
printAs('LockHandle', HeldLock);
