import type { AcquireRequest } from '../../backends/backend.js';
import { withOrigin } from '../../common/error-origin.js';
import type { LockLostError, LossReason, ServerDrainingError } from '../../common/errors.js';
import { printAs } from '../../common/inspection.js';
import { Listed } from '../../common/linked-list.js';
import type { Ms } from '../../common/system.js';
import type { HeldGrant } from '../events/events.js';
import { runWithLockIn } from './current-lock.js';
import type { Hold, HoldObserver, HoldStart, LockedCall, LockEntry, Origin } from './hold.js';
import { HolderSignal } from './holder-signal.js';
import { LockGrant } from './lock-grant.js';
import { jsonOf } from './lock-json.js';
import { endAll, renewAll } from './leases.js';
import { type Fate, lossOf } from './lock-lost-error.js';
import { JoinedLock, type Whole } from './joined-lock.js';
import { releaseAll, releaseLeases } from './release-all.js';
import { HoldLimit } from './hold-limit.js';
import { remainingHold } from './minimum-hold.js';
import type { Lease, LeaseHolder } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import { lossEvent, releasedEvent, renewedEvent } from './hold-events.js';
import { checkLease } from '../options/resolve-options.js';

const HELD: Fate = { is: 'held' };
const RELEASED: Fate = { is: 'released' };

/** A held lock, or several that are held and lost together. */
export class HeldLock implements Whole, LeaseHolder {
  /** Its node in the client's list of held locks. Private, so that printing one lock does not print all others. */
  readonly #listed = new Listed<HeldLock>(this);
  readonly #keeper: LeaseKeeper;
  readonly #leases: readonly Lease[];
  readonly #observer: HoldObserver;
  readonly keys: readonly string[];
  readonly waitedMs: Ms;
  readonly #start: HoldStart;
  #fate: Fate = HELD;
  #told: HolderSignal | undefined;
  /** Why the holder was asked to stop while it still holds the lock. */
  #notice: Error | undefined;
  #releasing: Promise<boolean> | undefined;
  #keptUntil: Ms = 0;
  #limit: HoldLimit | undefined;
  #entry: LockEntry | undefined;
  /** Number of parts that have joined this lock. */
  #parts = 0;
  #whenAlone: (() => void) | undefined;

  constructor(keeper: LeaseKeeper, leases: readonly Lease[], start: HoldStart, observer: HoldObserver) {
    this.#keeper = keeper;
    this.#leases = leases;
    this.#start = start;
    this.#observer = observer;
    this.keys = start.keys;
    this.waitedMs = start.waitedMs;
    for (const lease of leases) lease.handTo(this, start.renewals);
  }

  get call(): LockedCall | undefined {
    return this.#start.call;
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
    return this.#limit?.remainingMs !== 0 && this.#leases.every((lease) => lease.isHeld);
  }

  get remainingMs(): Ms {
    return Math.min(this.#limit?.remainingMs ?? Infinity, ...this.#leases.map((lease) => lease.remainingMs));
  }

  get signal(): AbortSignal {
    return this.holderSignal().signal;
  }

  get loss(): LockLostError | undefined {
    return this.#fate.is === 'lost' ? this.#fate.error : undefined;
  }

  onLoss(listener: (loss: LockLostError) => void): () => void {
    if (!this.loss) return this.holderSignal().onLoss(listener);
    listener(this.loss);
    return () => undefined;
  }

  /** Declares the loss of an overdue lock whose alarm has not rung yet because of a stall. */
  look(): void {
    this.#limit?.look();
  }

  assertHeld(): void {
    this.look();
    const over = this.#leases.find((lease) => !lease.isHeld);
    if (over) throw this.loss ?? this.noteOrigin(lossOf(this.keys, this.#leases, over, 'expired'));
  }

  async renew(leaseTtlS?: number): Promise<Ms> {
    this.look();
    if (this.loss) throw this.loss;
    const failed = await renewAll(this.keys, this.#leases, checkLease(leaseTtlS, this.#keeper.backend.capabilities));
    if (failed) throw this.loss ?? this.noteOrigin(failed.reason);
    return this.remainingMs;
  }

  release(): Promise<boolean> {
    if (this.#entry) this.#entry.lock = undefined;
    return (this.#releasing ??= this.giveBack());
  }

  keepUntil(time: Ms): void {
    this.#keptUntil = Math.max(this.#keptUntil, time);
  }

  limitTo(maxHoldMs: Ms): void {
    if (this.#fate.is !== 'held') return;
    this.#limit = new HoldLimit(this.#keeper, this.#leases, this.#start.since, maxHoldMs, () => this.overdue());
  }

  async settle(): Promise<LockLostError | undefined> {
    this.look();
    for (const lease of this.#leases) {
      const checked = lease.check();
      // Usually there is no doubt and nothing to await.
      if (typeof checked !== 'boolean') await checked;
    }
    return this.loss;
  }

  /** Whether this lock belongs to that client. */
  isOf(observer: HoldObserver): boolean {
    return this.#observer === observer;
  }

  get isReleased(): boolean {
    return this.#releasing !== undefined;
  }

  names({ kind, key, limit }: AcquireRequest): boolean {
    return this.#leases.some(({ grant: { req } }) => req.key === key && req.kind === kind && req.limit === limit);
  }

  covers(req: AcquireRequest): boolean {
    return !this.#releasing && this.has(req);
  }

  /** Like covers(), but also while the release waits for the parts, which still run under it. */
  has(req: AcquireRequest): boolean {
    return this.names(req) && this.isHeld;
  }

  /** Marks the error as one of this lock's client. */
  noteOrigin<E>(error: E): E {
    return withOrigin(error, this.#keeper);
  }

  join(keys: readonly string[], origin: Origin): Hold {
    this.#parts++;
    return new JoinedLock(this, keys, origin);
  }

  run<R>(fn: () => R): R {
    this.#entry ??= { lock: this.isReleased ? undefined : this };
    return runWithLockIn(this.#start.around, this.#entry, fn);
  }

  /** Called once by each part when it is released. */
  partReleased(): void {
    if (--this.#parts > 0) return;
    this.#whenAlone?.();
    if (this.loss && this.#releasing) this.#limit?.giveBack();
  }

  /** Aborts the holder's signal to ask it to stop. The lock is still held. */
  notify(reason: Error): void {
    if (this.#fate.is !== 'held' || this.#notice) return;
    this.#notice = this.noteOrigin(reason);
    this.#told?.abort(reason);
  }

  /** Takes the lock away from its holder and its parts, and releases it. */
  async revoke(reason: LossReason): Promise<void> {
    // Ended, but its fate is still open: its release is under way.
    if (this.#fate.is !== 'held' || this.#leases.every((lease) => lease.ended)) return void (await this.#releasing);
    endAll(this.#leases);
    this.#limit?.cancel();
    this.lose(this.#leases[0]!, reason, undefined);
    await releaseAll(this.#keeper.backend, this.#leases);
  }

  toJSON(): object {
    return jsonOf(this, this.#leases);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  /** LeaseHolder */
  renewed(leaseMs: Ms): void {
    if (this.#observer.observed) this.#observer.emit(renewedEvent(this, leaseMs, this.#keeper.clock));
  }

  /** LeaseHolder. Work that settles before the loss has succeeded (rule 9). */
  draining(error: ServerDrainingError): void {
    this.notify(error);
  }

  /** LeaseHolder */
  lost(lease: Lease, reason: LossReason, cause: Error | undefined): void {
    // All or nothing: the remaining locks of a set protect nothing.
    const others = this.#leases.filter((other) => !other.ended).reverse();
    endAll(others);
    this.#limit?.cancel();
    this.lose(lease, reason, cause);
    for (const other of others) this.#keeper.backend.abandon(other.grant);
  }

  private holderSignal(): HolderSignal {
    if (!this.#told) {
      this.#told = new HolderSignal();
      const reason = this.loss ?? this.#notice;
      if (reason) this.#told.abort(reason);
    }
    return this.#told;
  }

  /** `maxHoldS` is over. The holder may still be working: it is told, and then has the last lease to stop. */
  private overdue(): void {
    if (this.#fate.is !== 'held' || this.#leases.every((lease) => lease.ended)) return;
    endAll(this.#leases);
    this.lose(this.#leases[0]!, 'overdue', undefined);
    this.#limit!.lapse();
  }

  private lose(lease: Lease, reason: LossReason, cause: Error | undefined): void {
    if (this.#fate.is !== 'held') return;
    const error = this.noteOrigin(lossOf(this.keys, this.#leases, lease, reason, cause));
    this.#fate = { is: 'lost', error };
    this.#observer.ended(this);
    this.#told?.lost(error);
    this.#whenAlone?.();
    this.#observer.notice(lossEvent(this, lease, error, this.#start.since, this.#keeper.clock));
  }

  private giveBack(): Promise<boolean> {
    this.look();
    if (this.#fate.is !== 'held') {
      if (this.#parts === 0) this.#limit?.giveBack();
      return Promise.resolve(false);
    }
    return this.#parts > 0 ? this.giveBackAlone() : this.giveBackNow();
  }

  /** Detached tasks inherit the context, and with it parts that may outlive the body. */
  private async giveBackAlone(): Promise<boolean> {
    await new Promise<void>((resolve) => (this.#whenAlone = resolve));
    return this.loss ? false : this.giveBackNow();
  }

  private giveBackNow(): Promise<boolean> {
    const leases = this.#leases;
    const { backend, clock } = this.#keeper;
    this.#limit?.cancel();
    for (const lease of leases) lease.end();
    const keepMs = remainingHold(this.#keptUntil, clock.now());
    return new Promise((resolve) => releaseLeases(backend, leases, keepMs, (gone) => resolve(this.givenBack(gone))));
  }

  /** @param gone a lease that was no longer held */
  private givenBack(gone: Lease | undefined): boolean {
    // May be called more than once.
    if (this.#fate.is !== 'held') return this.#fate.is === 'released';
    if (gone) {
      this.lose(gone, 'rejected', undefined);
      return false;
    }
    this.#fate = RELEASED;
    this.#observer.ended(this);
    if (this.#observer.observed) this.#observer.emit(releasedEvent(this, this.#start.since, this.#keeper.clock));
    return true;
  }
}
printAs('LockHandle', HeldLock);
