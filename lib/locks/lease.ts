import type { Grant, LockBackend, Proof } from '../backends/backend.js';
import type { Alarm, Alarms } from '../common/alarms.js';
import { LockLostError, type LossReason } from '../common/errors.js';
import { guardOf } from '../common/guard.js';
import type { Clock, Entropy, Ms } from '../common/system.js';

/** What all leases of a client share. */
export interface LeaseKeeper {
  readonly backend: LockBackend;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** One timer for all leases; does not keep the process alive. */
  readonly alarms: Alarms;
  /** Part of a lease after which it is renewed. */
  readonly renewRatio: number;
}

/** Told by a lease; called in the turn in which it happens. */
export interface LeaseHolder {
  renewed(leaseMs: Ms): void;
  /** Final. The grant has been abandoned. */
  lost(reason: LossReason, cause: Error | undefined): void;
}

/** live → ending (released, or given back) or over (lost). Nothing leads back. */
type LeaseState = 'live' | 'ending' | 'over';

/** A failed renewal is tried again after this at least. */
const LEAST_RETRY_MS = 50;
/** Renewals come earlier by up to this part, never later, so that leases taken together drift apart. */
const JITTER = 0.1;

/**
 * Keeps one grant: renews it, and knows at any moment until when it is surely held. The answer to "is it held" is
 * computed when asked for; the alarm only makes sure that somebody is told.
 */
export class Lease implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private state: LeaseState = 'live';
  private proof: Proof;
  private renewAt: Ms = 0;
  private renewing: Promise<void> | undefined;
  private readonly unsubscribe: () => void;

  /** @param askMs the lease to ask for at every renewal: without it the server would set its default (spec 4.4) */
  constructor(
    private readonly keeper: LeaseKeeper,
    readonly grant: Grant,
    private askMs: Ms,
    private readonly holder: LeaseHolder,
  ) {
    this.proof = grant;
    this.unsubscribe = grant.owner.onLost((reason, error) => this.lose(reason, error));
    this.planRenewal();
  }

  /** Until when the lock is surely held if nothing more is heard. */
  get sureUntil(): Ms {
    const { validFrom, leaseMs } = this.proof;
    return Math.min(validFrom + leaseMs - guardOf(leaseMs), this.grant.owner.provenUntil());
  }

  get isHeld(): boolean {
    return this.state === 'live' && this.keeper.clock.now() < this.sureUntil;
  }

  get remainingMs(): Ms {
    return this.state === 'live' ? Math.max(0, this.sureUntil - this.keeper.clock.now()) : 0;
  }

  /** Whether it is over without having been lost, or about to be. */
  get ended(): boolean {
    return this.state !== 'live';
  }

  ring(now: Ms): void {
    if (this.state !== 'live') return;
    if (now >= this.sureUntil) {
      this.keeper.clock.afterPoll(() => this.confirm(now));
      return;
    }
    if (now >= this.renewAt && !this.renewing) this.renewQuietly();
    else this.arm();
  }

  /**
   * True if the lease is alive. A lease that looks over is judged after the sockets have been read once more: after a
   * stall timers run before input, and the proof may lie there.
   */
  check(): boolean | Promise<boolean> {
    if (this.state !== 'live') return false;
    if (this.isHeld) return true;
    const { clock } = this.keeper;
    const seen = clock.now();
    return new Promise((resolve) => clock.afterPoll(() => resolve(this.confirm(seen))));
  }

  /** Renews now, behind a renewal that is under way. @throws LockLostError, LockUnavailableError */
  async renew(leaseMs?: Ms): Promise<Ms> {
    while (this.renewing) await this.renewing;
    this.assertLive();
    if (leaseMs !== undefined) this.askMs = leaseMs;
    const attempt = this.attempt();
    this.renewing = attempt.catch(() => undefined);
    await attempt;
    this.assertLive();
    return this.remainingMs;
  }

  /** No renewal any more; what the owner suffers is of no concern. */
  end(): void {
    if (this.state === 'live') this.leave('ending');
  }

  /** Declares the loss. */
  lose(reason: LossReason, cause?: Error): void {
    if (this.state !== 'live') return;
    this.leave('over');
    // A renewal in flight may have extended what nobody holds.
    this.keeper.backend.abandon(this.grant);
    this.holder.lost(reason, cause);
  }

  private leave(to: LeaseState): void {
    this.state = to;
    this.keeper.alarms.cancel(this);
    this.unsubscribe();
  }

  private assertLive(): void {
    if (this.state !== 'live') throw new LockLostError(this.grant.req.key, 'expired');
  }

  /** Declares the loss unless there is proof. @param seen all input that had arrived by then has been read */
  private confirm(seen: Ms): boolean {
    if (this.state !== 'live') return false;
    const { validFrom, leaseMs } = this.proof;
    if (seen < this.sureUntil) {
      this.arm();
      return true;
    }
    const silent = this.grant.owner.provenUntil() < validFrom + leaseMs - guardOf(leaseMs);
    this.lose(silent ? 'disconnected' : 'expired');
    return false;
  }

  private planRenewal(): void {
    const { validFrom, leaseMs } = this.proof;
    const early = 1 - JITTER * this.keeper.entropy.unit();
    this.renewAt = validFrom + leaseMs * this.keeper.renewRatio * early;
    this.arm();
  }

  private arm(): void {
    const { sureUntil } = this;
    this.keeper.alarms.set(this, this.renewing ? sureUntil : Math.min(this.renewAt, sureUntil));
  }

  private renewQuietly(): void {
    this.renewing = this.attempt().catch(() => undefined);
    this.arm();
  }

  private async attempt(): Promise<void> {
    try {
      const proof = await this.keeper.backend.renew(this.grant, this.askMs);
      this.renewing = undefined;
      if (this.state !== 'live') return;
      this.proof = proof;
      this.planRenewal();
      this.holder.renewed(proof.leaseMs);
    } catch (error) {
      this.renewing = undefined;
      if (this.state === 'live') this.failed(error as Error);
      throw error;
    }
  }

  private failed(error: Error): void {
    if (error instanceof LockLostError) {
      this.lose(error.reason, error);
      return;
    }
    const now = this.keeper.clock.now();
    this.renewAt = now + Math.max(LEAST_RETRY_MS, (this.sureUntil - now) / 4);
    this.arm();
  }
}
