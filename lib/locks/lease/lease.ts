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

/** Receives the events of a lease, in the turn in which they happen. */
export interface LeaseHolder {
  renewed(leaseMs: Ms): void;
  /** The server drains: there are no more renewals, and the lock lasts until its lease or connection ends (rule 9). */
  draining(error: ServerDrainingError): void;
  /** Final. The grant has been abandoned. */
  lost(lease: Lease, reason: LossReason, cause: Error | undefined): void;
}

/** The operations that a lease uses. */
export type LeaseBackend = Pick<LockBackend, 'renew' | 'abandon' | 'onSuspect'>;

/** Shared by all leases of a client. */
export interface LeaseHost {
  readonly backend: LeaseBackend;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly alarms: Alarms;
  readonly watch: ClockWatch;
  readonly renewals: RenewalQueue;
  /** How long after its start a lease is renewed. */
  renewAfter(leaseMs: Ms): Ms;
  /** Called by the lease itself when it has ended. */
  forget(lease: Lease): void;
}

/** Whether a lease renews itself, or only on request. */
export type Renewals = 'auto' | 'manual';

/** idle. due: queued for its turn. Otherwise the renewal under way, which never rejects. */
type Renewal = 'idle' | 'due' | Promise<void>;

const NOBODY: LeaseHolder = { renewed: () => undefined, draining: () => undefined, lost: () => undefined };

/**
 * Keeps one grant: renews it, and knows at any time until when it is certainly held. Whether it is held is computed
 * when read; the alarm only ensures that the holder is told.
 */
export class Lease implements Alarm, Renewable {
  due: Ms = Infinity;
  slot = -1;
  prev: Lease | undefined = undefined;
  next: Lease | undefined = undefined;
  /** Set by its keeper. */
  bunch: Bunch<Lease> | undefined = undefined;
  private state: LeaseState = 'live';
  private renewal: Renewal = 'idle';
  private proof: Proof;
  private renewAt: Ms = Infinity;
  private holder: LeaseHolder = NOBODY;
  private drained: ServerDrainingError | undefined;
  private waits: WhileLive | undefined;

  /**
   * @param askMs the lease to request at every renewal, because the server would apply its default otherwise (spec
   * 4.4). 0: the default is wanted, and the reply tells its length
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
    return sureUntil(this.proof, this.grant.owner, this.keeper.watch);
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
    this.send(NOBODY).catch(() => undefined);
  }

  /** Renews now, after a renewal under way. @throws LockLostError, LockUnavailableError, ServerDrainingError */
  async renew(leaseMs?: Ms): Promise<Ms> {
    const waits = (this.waits ??= new WhileLive());
    while (this.underWay && this.state === 'live') await waits.wait(this.underWay);
    this.assertLive();
    // On a draining server, the request itself would end the connection and everything it owns (rule 9).
    if (this.drained) throw this.drained;
    if (leaseMs !== undefined) this.askMs = leaseMs;
    await waits.wait(this.send());
    this.assertLive();
    return this.remainingMs;
  }

  /** RenewalQueue: the turn of this lease has come. */
  renewNow(): void {
    if (this.state === 'live' && this.renewal === 'due' && !this.drained) this.send().catch(() => undefined);
  }

  /** Renews as soon as possible, because fresh proof is wanted. */
  hurry(): void {
    if (this.state !== 'live') return;
    const now = this.keeper.clock.now();
    if (this.renewals === 'auto' && !this.drained) this.renewAt = now;
    this.keeper.alarms.set(this, now);
  }

  get isDraining(): boolean {
    return this.drained !== undefined;
  }

  /** The renewal under way. Never rejects. */
  get underWay(): Promise<void> | undefined {
    return typeof this.renewal === 'string' ? undefined : this.renewal;
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
    if (this.state === 'live') this.leave('end');
  }

  /** Declares the loss. */
  lose(reason: LossReason, cause?: Error): void {
    if (this.state !== 'live') return;
    this.leave('lose');
    // Tell the holder before the server can grant the lock to another.
    this.holder.lost(this, this.drained ? 'draining' : reason, cause);
    // A renewal in flight may have extended a lock that nobody holds (rule 5).
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

  /** @param told receives the renewal event; default: the holder */
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

  /** An error thrown by the backend takes effect no earlier than a reply would. */
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
