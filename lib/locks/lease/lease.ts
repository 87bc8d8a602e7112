import type { Grant, Proof } from '../../backends/backend.js';
import type { Alarm } from '../../common/alarms.js';
import { Deferred } from '../../common/deferred.js';
import { LockLostError, type LossReason, type ServerDrainingError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { type HolderOf, type HostOf, NOBODY, type Renewals } from './lease-host.js';
import { LeaseRenewal, type Renewed } from './lease-renewal.js';
import type { Bunch } from './lost-owners.js';
import type { Renewable } from './renewal-queue.js';
import { certainLease, nextAttempt, plannedRenewal } from './renewal-times.js';
import type { Planned, RenewalGroup } from './renewal-wheel.js';
import { reasonOfLoss, sureUntil } from './sure-until.js';
import { WhileLive } from './while-live.js';

export type LeaseHolder = HolderOf<Lease>;

/** live. ended: released, or given up. lost. Assigned in place, because there is one for each lock; the table is in the spec. */
type LeaseState = 'live' | 'ended' | 'lost';

/** idle. due: queued for its turn. sent: not answered yet. */
type Renewal = 'idle' | 'due' | 'sent';

/**
 * Keeps one grant: renews it, and knows at any time until when it is certainly held. Whether it is held is computed
 * when read; the alarm only ensures that the holder is told.
 */
export class Lease implements Alarm, Planned, Proof, Renewable, Renewed<LeaseHolder> {
  due: Ms = Infinity;
  slot = -1;
  prev: Lease | undefined = undefined;
  next: Lease | undefined = undefined;
  /** Set by its keeper. */
  bunch: Bunch<Lease> | undefined = undefined;
  /** Set while it is on a wheel, and has no alarm of its own. */
  group: RenewalGroup | undefined = undefined;
  place = 0;
  private state: LeaseState = 'live';
  private renewal: Renewal = 'idle';
  /** The proof, copied: one that is replaced at every renewal would cost more, as it grows old. */
  validFrom: Ms;
  leaseMs: Ms;
  private renewAt: Ms = Infinity;
  private holder: LeaseHolder = NOBODY;
  private drained: ServerDrainingError | undefined = undefined;
  private waits: WhileLive | undefined = undefined;
  /** Resolved when the renewal under way is answered. Created when it is first needed. */
  private answer: Deferred<void> | undefined = undefined;

  /**
   * @param askMs the lease to request at every renewal, because the server would apply its default otherwise (spec
   * 4.4). 0: the default is wanted, and the reply tells its length
   */
  constructor(
    private readonly keeper: HostOf<Lease>,
    readonly grant: Grant,
    private askMs: Ms,
    private renewals: Renewals,
  ) {
    this.validFrom = grant.validFrom;
    this.leaseMs = grant.leaseMs;
  }

  /** Called once: from now on, the lease is renewed and its loss is told. */
  begin(): void {
    this.planRenewal();
  }

  /** From now on `holder` receives the events, and renewals follow its choice. */
  handTo(holder: LeaseHolder, renewals: Renewals): void {
    this.holder = holder;
    if (this.renewals !== renewals) {
      this.renewals = renewals;
      this.planRenewal();
    }
    if (this.drained) holder.draining(this.drained);
  }

  /** Time until which the lock is certainly held if nothing more is heard. */
  get sureUntil(): Ms {
    return sureUntil(this, this.grant.owner, this.keeper.watch);
  }

  get isHeld(): boolean {
    return this.remainingMs > 0;
  }

  get remainingMs(): Ms {
    if (this.state !== 'live') return 0;
    const now = this.keeper.clock.now();
    // If the lease is over by the monotonic clock already, a suspension changes nothing.
    if (now < this.sureUntil) this.keeper.watch.sample();
    return Math.max(0, this.sureUntil - now);
  }

  /** Whether it has ended, or is about to, without being lost. */
  get ended(): boolean {
    return this.state !== 'live';
  }

  /** Alarm, Planned: its time has come. @param earlyMs how much earlier than planned it may be renewed */
  ring(now: Ms, earlyMs: Ms = 0): void {
    if (this.state !== 'live') return;
    const { keeper } = this;
    keeper.watch.sampleIfStale(now);
    if (now >= this.sureUntil) {
      keeper.clock.afterPoll(() => this.confirm(now));
      return;
    }
    if (now + earlyMs >= this.renewAt && this.renewal === 'idle') {
      this.renewal = 'due';
      keeper.renewals.push(this, now);
      // Sent, which has planned the next look.
      if (this.renewal !== 'due') return;
      return keeper.times.plan(this, this.sureUntil, this.sureUntil - now);
    }
    this.arm();
  }

  /**
   * True if the lease is live. A lease that looks expired is judged after the sockets have been read once more: after a
   * stall, timers run before input is read, and the proof may be in it (rule 4).
   */
  check(): boolean | Promise<boolean> {
    if (this.state !== 'live') return false;
    if (this.isHeld) return true;
    const { clock } = this.keeper;
    const seen = clock.now();
    return new Promise((resolve) => clock.afterPoll(() => resolve(this.confirm(seen))));
  }

  /**
   * Renews a grant whose lease is shorter than wanted, without waiting for the reply; until it comes, only the granted
   * lease counts. No event is sent, as no holder has seen the shorter lease.
   */
  complete(): void {
    this.request(this.keeper.clock.now(), NOBODY).send(this.keeper.backend);
  }

  /** Renews now, after a renewal under way. @throws LockLostError, LockUnavailableError, ServerDrainingError */
  async renew(leaseMs?: Ms): Promise<Ms> {
    const waits = (this.waits ??= new WhileLive());
    while (this.underWay && this.state === 'live') await waits.wait(this.underWay);
    this.assertLive();
    // On a draining server, the request itself would end the connection and everything it owns (rule 9).
    if (this.drained) throw this.drained;
    if (leaseMs !== undefined) this.askMs = leaseMs;
    const answer = new Deferred<void>();
    this.request(this.keeper.clock.now(), undefined, answer).send(this.keeper.backend);
    await waits.wait(answer.promise);
    this.assertLive();
    return this.remainingMs;
  }

  /** RenewalQueue: the turn of this lease has come. */
  renewNow(now: Ms): LeaseRenewal<LeaseHolder> | undefined {
    return this.state === 'live' && this.renewal === 'due' && !this.drained ? this.request(now) : undefined;
  }

  /** Renews as soon as possible, because fresh proof is wanted. */
  hurry(): void {
    if (this.state !== 'live') return;
    const now = this.keeper.clock.now();
    if (this.renews) this.renewAt = now;
    this.keeper.times.set(this, now);
  }

  get isDraining(): boolean {
    return this.drained !== undefined;
  }

  /** The renewal under way. Never rejects. */
  get underWay(): Promise<void> | undefined {
    return this.renewal === 'sent' ? (this.answer ??= new Deferred()).promise : undefined;
  }

  /** The server drains (rule 9). */
  drain(error: ServerDrainingError): void {
    if (this.state !== 'live' || this.drained) return;
    this.drained = error;
    this.planRenewal();
    this.holder.draining(error);
  }

  /** Stops renewals; the loss of the owner does not matter any more. */
  end(): void {
    if (this.state === 'live') this.leave('ended');
  }

  /** Declares the loss. */
  lose(reason: LossReason, cause?: Error): void {
    if (this.state !== 'live') return;
    this.leave('lost');
    // Tell the holder before the server can grant the lock to another.
    this.holder.lost(this, this.drained ? 'draining' : reason, cause);
    // A renewal in flight may have extended a lock that nobody holds (rule 5).
    this.keeper.backend.abandon(this.grant);
  }

  private leave(state: 'ended' | 'lost'): void {
    this.state = state;
    this.keeper.forget(this);
    this.waits?.end();
  }

  private assertLive(): void {
    if (this.state !== 'live') throw new LockLostError(this.grant.req.key, 'expired');
  }

  /** Declares the loss unless there is proof. @param seen all input that had arrived by then has been read */
  private confirm(seen: Ms): boolean {
    if (this.state !== 'live') return false;
    if (seen < this.sureUntil) {
      this.arm();
      return true;
    }
    this.lose(reasonOfLoss(this, this.grant.owner));
    return false;
  }

  /** Whether it is renewed without being asked to. */
  private get renews(): boolean {
    return this.renewals === 'auto' && !this.drained;
  }

  private planRenewal(): void {
    const { keeper, validFrom, leaseMs } = this;
    this.renewAt = this.renews
      ? plannedRenewal(validFrom, keeper.renewAfter(leaseMs), keeper.entropy) - keeper.watch.sleptSince(validFrom)
      : Infinity;
    const { renewAt } = this;
    if (this.renewal === 'idle' && renewAt < this.sureUntil) keeper.times.plan(this, renewAt, renewAt - validFrom);
    else this.arm();
  }

  private arm(): void {
    const { sureUntil } = this;
    this.keeper.times.set(this, this.renewal === 'idle' ? Math.min(this.renewAt, sureUntil) : sureUntil);
  }

  /** Counts a renewal as sent. @param now at most the current time */
  private request(now: Ms, told?: LeaseHolder, asked?: Deferred<void>): LeaseRenewal<LeaseHolder> {
    this.keeper.watch.sampleIfStale(now);
    this.renewal = 'sent';
    const { askMs } = this;
    this.leaseMs = certainLease(this, now, this.askMs);
    // Hardly any is still under way when its time comes. A first one, in its short lease, is alone.
    if (told) this.arm();
    else this.keeper.times.plan(this, this.sureUntil, this.sureUntil - now);
    return new LeaseRenewal(this, askMs, told, asked);
  }

  /** Renewed */
  renewed(proof: Proof, told: LeaseHolder | undefined): void {
    const { validFrom, leaseMs } = proof;
    this.answered();
    if (this.state !== 'live') return;
    this.validFrom = validFrom;
    this.leaseMs = leaseMs;
    this.askMs ||= leaseMs;
    this.planRenewal();
    (told ?? this.holder).renewed(leaseMs);
  }

  /** Renewed */
  failed(error: Error): void {
    this.answered();
    if (this.state !== 'live') return;
    if (error instanceof LockLostError) return this.lose(error.reason, error);
    if (this.renews) this.renewAt = nextAttempt(this.keeper.clock.now(), this.sureUntil);
    this.arm();
  }

  private answered(): void {
    this.renewal = 'idle';
    this.answer?.resolve();
    this.answer = undefined;
  }
}
