import type { Grant, LockBackend, Proof } from '../../backends/backend.js';
import type { Alarm, Alarms } from '../../common/alarms.js';
import { LockLostError, type LossReason, ServerDrainingError } from '../../common/errors.js';
import { rejected } from '../../common/rejected.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { ClockWatch } from './clock-watch.js';
import { type LeaseState, nextLeaseState } from './lease-state.js';
import type { Bunch } from './owners.js';
import type { Renewable, RenewalQueue } from './renewal-queue.js';
import { nextAttempt, plannedRenewal, shortened } from './renewal-times.js';
import { reasonOfLoss, sureUntil } from './sure-until.js';
import { WhileLive } from './while-live.js';

/** Told by a lease; called in the turn in which it happens. */
export interface LeaseHolder {
  renewed(leaseMs: Ms): void;
  /** Its server is going: no renewal any more, and the lock lasts as long as it lasts (rule 9). */
  draining(error: ServerDrainingError): void;
  /** Final. The grant has been abandoned. */
  lost(lease: Lease, reason: LossReason, cause: Error | undefined): void;
}

/** What a lease asks for. */
export type LeaseBackend = Pick<LockBackend, 'renew' | 'abandon' | 'onSuspect'>;

/** What all leases of a client share. */
export interface LeaseHost {
  readonly backend: LeaseBackend;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly alarms: Alarms;
  readonly watch: ClockWatch;
  readonly renewals: RenewalQueue;
  /** How long after a lease began it is renewed. */
  renewAfter(leaseMs: Ms): Ms;
  /** By the lease itself, when it has ended. */
  forget(lease: Lease): void;
}

/** Whether a lease renews itself, or only when it is told to. */
export type Renewals = 'auto' | 'manual';

/** idle; due: waiting for its portion; or the renewal that is under way, which never rejects. */
type Renewal = 'idle' | 'due' | Promise<void>;

const NOBODY: LeaseHolder = { renewed: () => undefined, draining: () => undefined, lost: () => undefined };

/**
 * Keeps one grant: renews it, and knows at any moment until when it is surely held. The answer to "is it held" is
 * computed when asked for; the alarm only makes sure that somebody is told.
 */
export class Lease implements Alarm, Renewable {
  due: Ms = Infinity;
  slot = -1;
  prev: Lease | undefined = undefined;
  next: Lease | undefined = undefined;
  /** By its keeper. */
  bunch: Bunch<Lease> | undefined = undefined;
  private state: LeaseState = 'live';
  private renewal: Renewal = 'idle';
  private proof: Proof;
  private renewAt: Ms = Infinity;
  private holder: LeaseHolder = NOBODY;
  private drained: ServerDrainingError | undefined;
  private waits: WhileLive | undefined;

  /**
   * @param askMs the lease to ask for at every renewal: without it the server would set its default (spec 4.4). 0: that is
   *   what is wanted, and its answer says how long it is
   */
  constructor(
    private readonly keeper: LeaseHost,
    readonly grant: Grant,
    private askMs: Ms,
    private renewals: Renewals,
  ) {
    this.proof = grant;
    this.planRenewal();
  }

  /** From now on `holder` is told, and the lease is renewed as it wants it. */
  handTo(holder: LeaseHolder, renewals: Renewals): void {
    this.holder = holder;
    if (this.renewals !== renewals) {
      this.renewals = renewals;
      this.planRenewal();
    }
    if (this.drained) holder.draining(this.drained);
  }

  /** Until when the lock is surely held if nothing more is heard. */
  get sureUntil(): Ms {
    return sureUntil(this.proof, this.grant.owner, this.keeper.watch);
  }

  get isHeld(): boolean {
    return this.remainingMs > 0;
  }

  get remainingMs(): Ms {
    if (this.state !== 'live') return 0;
    const now = this.keeper.clock.now();
    // Where the lease is over by the monotonic clock already, a sleep changes nothing.
    if (now < this.sureUntil) this.keeper.watch.sample();
    return Math.max(0, this.sureUntil - now);
  }

  /** Whether it is over without having been lost, or about to be. */
  get ended(): boolean {
    return this.state !== 'live';
  }

  ring(now: Ms): void {
    if (this.state !== 'live') return;
    this.keeper.watch.sampleIfStale();
    if (now >= this.sureUntil) {
      this.keeper.clock.afterPoll(() => this.confirm(now));
      return;
    }
    const renew = now >= this.renewAt && this.renewal === 'idle';
    if (renew) this.renewal = 'due';
    this.arm();
    if (renew) this.keeper.renewals.push(this);
  }

  /**
   * True if the lease is alive. A lease that looks over is judged after the sockets have been read once more: after a
   * stall timers run before input, and the proof may lie there (rule 4).
   */
  check(): boolean | Promise<boolean> {
    if (this.state !== 'live') return false;
    if (this.isHeld) return true;
    const { clock } = this.keeper;
    const seen = clock.now();
    return new Promise((resolve) => clock.afterPoll(() => resolve(this.confirm(seen))));
  }

  /**
   * Renews now what was granted for less than is wanted, and does not wait for the answer: until then only the lease that
   * was granted is sure. Nobody is told, as nobody has known of the shorter one.
   */
  complete(): void {
    this.send(NOBODY).catch(() => undefined);
  }

  /** Renews now, behind a renewal that is under way. @throws LockLostError, LockUnavailableError, ServerDrainingError */
  async renew(leaseMs?: Ms): Promise<Ms> {
    const waits = (this.waits ??= new WhileLive());
    while (this.underWay && this.state === 'live') await waits.wait(this.underWay);
    this.assertLive();
    // On a server that drains, the request itself would cost the connection with all it owns (rule 9).
    if (this.drained) throw this.drained;
    if (leaseMs !== undefined) this.askMs = leaseMs;
    await waits.wait(this.send());
    this.assertLive();
    return this.remainingMs;
  }

  /** RenewalQueue: its turn has come. */
  renewNow(): void {
    if (this.state === 'live' && this.renewal === 'due' && !this.drained) this.send().catch(() => undefined);
  }

  /** Something has happened that makes proof wanted: renews as soon as it may. */
  hurry(): void {
    if (this.state !== 'live') return;
    const now = this.keeper.clock.now();
    if (this.renewals === 'auto' && !this.drained) this.renewAt = now;
    this.keeper.alarms.set(this, now);
  }

  get isDraining(): boolean {
    return this.drained !== undefined;
  }

  /** The renewal that is under way. Never rejects. */
  get underWay(): Promise<void> | undefined {
    return typeof this.renewal === 'string' ? undefined : this.renewal;
  }

  /** Its server is going (rule 9). */
  drain(error: ServerDrainingError): void {
    if (this.state !== 'live' || this.drained) return;
    this.drained = error;
    this.planRenewal();
    this.holder.draining(error);
  }

  /** No renewal any more; what the owner suffers is of no concern. */
  end(): void {
    if (this.state === 'live') this.leave('end');
  }

  /** Declares the loss. */
  lose(reason: LossReason, cause?: Error): void {
    if (this.state !== 'live') return;
    this.leave('lose');
    // Its holder knows before the server can give it to somebody else.
    this.holder.lost(this, this.drained ? 'draining' : reason, cause);
    // A renewal in flight may have extended what nobody holds (rule 5).
    this.keeper.backend.abandon(this.grant);
  }

  private leave(event: 'end' | 'lose'): void {
    this.state = nextLeaseState(this.state, event);
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
    this.lose(reasonOfLoss(this.proof, this.grant.owner));
    return false;
  }

  private planRenewal(): void {
    const { keeper } = this;
    const { validFrom, leaseMs } = this.proof;
    if (this.renewals === 'auto' && !this.drained) {
      const planned = plannedRenewal(validFrom, keeper.renewAfter(leaseMs), keeper.entropy);
      this.renewAt = planned - keeper.watch.sleptSince(validFrom);
    } else {
      this.renewAt = Infinity;
    }
    this.arm();
  }

  private arm(): void {
    const { sureUntil } = this;
    this.keeper.alarms.set(this, this.renewal === 'idle' ? Math.min(this.renewAt, sureUntil) : sureUntil);
  }

  /** @param told who is told of the renewal; default: the holder */
  private send(told?: LeaseHolder): Promise<void> {
    this.keeper.watch.sampleIfStale();
    const attempt = this.attempt(told);
    this.renewal = attempt.catch(() => undefined);
    this.proof = shortened(this.proof, this.keeper.clock.now(), this.askMs);
    this.arm();
    return attempt;
  }

  private async attempt(told?: LeaseHolder): Promise<void> {
    try {
      const proof = await this.ask();
      this.answered();
      if (this.state !== 'live') return;
      this.proof = proof;
      this.askMs ||= proof.leaseMs;
      this.planRenewal();
      (told ?? this.holder).renewed(proof.leaseMs);
    } catch (error) {
      this.answered();
      if (this.state === 'live') this.failed(error as Error);
      throw error;
    }
  }

  /** What a backend throws is no earlier than an answer: it is under way until then. */
  private ask(): Promise<Proof> {
    try {
      return this.keeper.backend.renew(this.grant, this.askMs);
    } catch (error) {
      return rejected(error);
    }
  }

  private answered(): void {
    this.renewal = 'idle';
  }

  private failed(error: Error): void {
    if (error instanceof LockLostError) {
      this.lose(error.reason, error);
      return;
    }
    const now = this.keeper.clock.now();
    if (this.renewAt !== Infinity) this.renewAt = nextAttempt(now, this.sureUntil);
    this.arm();
  }
}
