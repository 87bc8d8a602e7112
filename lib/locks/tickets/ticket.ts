import type { Grant, Pending, Placement, Waiter } from '../../backends/backend.js';
import { failureOf } from '../../backends/guarded-backend.js';
import { whenAborted } from '../../common/abort.js';
import { type Alarm, type Alarms, newAlarm } from '../../common/alarms.js';
import { Deferred } from '../../common/deferred.js';
import { withOrigin } from '../../common/error-origin.js';
import { LeaseExpiredError, LockUnavailableError, type LossReason, NotEnqueuedError } from '../../common/errors.js';
import { printAs } from '../../common/inspection.js';
import type { Ms } from '../../common/system.js';
import { releaseOne } from '../handle/release-all.js';
import type { Lease, LeaseHolder } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { LockHandle } from '../handle/lock-handle.js';
import { withdraw } from '../acquire/acquire-attempts.js';
import type { CheckedAcquire } from '../acquire/checked-acquire.js';
import { checkAcquireTimeout } from '../options/resolve-options.js';

/** A place in the queue of a key, taken now and waited for later (two-phase). */
export interface LockTicket {
  readonly keys: readonly string[];
  /** Where the place is: `acquired`, the lock was free; `queued`, others are before it. Rejects as `wait` does. */
  readonly placed: Promise<'acquired' | 'queued'>;
  /**
   * Waits for the lock, in seconds at most `timeoutS` (default: the `acquireTimeoutS` of the ticket). Null: not yet, and
   * the place is kept. A lock that was granted while nobody waited is handed over as long as its lease lasts, for it is
   * not renewed before. One call gets the handle.
   * @throws LeaseExpiredError (granted, and not claimed in time), NotEnqueuedError (cancelled, or claimed already),
   *   PoolExhaustedError (no connection for it), LockUnavailableError (the place is lost with its connection), the reason
   *   of the signal, ShuttingDownError, ConfigError, or the error that refused the place
   */
  wait(timeoutS?: number): Promise<LockHandle | null>;
  /** Leaves the queue, or gives back the lock that nobody has claimed. Idempotent; never throws. */
  cancel(): Promise<void>;
  /** Plain data: the keys, and where the place is. */
  toJSON(): object;
}

/** What a ticket needs of those who made it. */
export interface TicketHost {
  readonly keeper: LeaseKeeper;
  /** Keep the process alive: somebody waits. */
  readonly alarms: Alarms;
  /** Undefined: the backend has been started. @throws what makes the ticket void */
  ready(request: CheckedAcquire): Promise<void> | undefined;
  /** Takes a place. @throws what refuses it */
  enqueue(request: CheckedAcquire, waiter: Waiter): Pending;
  /** @throws UnsupportedError, having given the lease back */
  hold(request: CheckedAcquire, leases: readonly Lease[], since: Ms): LockHandle;
  queued(request: CheckedAcquire): void;
  /** The error as the user knows its key. */
  explain(error: unknown, request: CheckedAcquire): unknown;
  ended(ticket: Ticket): void;
}

/** opening → queued → granted (unclaimed) → over; each may end early. */
type Step =
  | { in: 'opening' }
  | { in: 'queued'; pending: Pending | undefined }
  | { in: 'granted'; lease: Lease }
  | { in: 'over'; error: unknown };

/** A call of wait() that has not been answered. */
interface Claimant {
  readonly alarm: Alarm;
  resolve(lock: LockHandle | null): void;
  reject(error: unknown): void;
}

export class Ticket implements LockTicket, LeaseHolder, Waiter {
  readonly #request: CheckedAcquire;
  readonly #desk: TicketHost;
  readonly keys: readonly string[];
  readonly #placed: Promise<Placement>;
  readonly #place = new Deferred<Placement>().quiet();
  #step: Step = { in: 'opening' };
  readonly #claimants = new Set<Claimant>();
  readonly #since: Ms;
  #ignoreAbort: (() => void) | undefined;

  constructor(request: CheckedAcquire, desk: TicketHost) {
    this.#request = request;
    this.#desk = desk;
    this.keys = request.keys;
    this.#since = desk.keeper.clock.now();
    const { signal } = request;
    // Before the place is asked for: it may be refused at once, and its end must find what it has to undo.
    if (signal) this.#ignoreAbort = whenAborted(signal, () => void this.giveUp(signal.reason));
    const ready = desk.ready(request);
    // At once, if the backend is there.
    this.#placed = ready ? ready.then(() => this.open()) : this.open();
    // Those who wait are told; nobody has to look at this one.
    this.#placed.catch((error: unknown) => this.end(error));
  }

  async wait(timeoutS?: number): Promise<LockHandle | null> {
    const timeoutMs = checkAcquireTimeout(timeoutS) ?? this.#request.waitMs;
    const until = this.#desk.keeper.clock.now() + timeoutMs;
    // After a stall, the sockets may hold what the lease needs.
    if (this.#step.in === 'granted') await this.#step.lease.check();
    const step = this.#step;
    if (step.in === 'over') throw step.error;
    if (step.in === 'granted') return this.claim(step.lease);
    if (timeoutMs === 0) return null;
    return new Promise((resolve, reject) => {
      const claimant: Claimant = { resolve, reject, alarm: newAlarm(() => this.dismiss(claimant)?.resolve(null)) };
      this.#claimants.add(claimant);
      this.#desk.alarms.set(claimant.alarm, until);
    });
  }

  cancel(): Promise<void> {
    return this.giveUp(this.notEnqueued());
  }

  /** Leaves, and tells those who wait why. Never throws. */
  async giveUp(reason: unknown): Promise<void> {
    const step = this.#step;
    if (step.in === 'over') return;
    this.end(reason);
    if (step.in === 'queued' && step.pending) withdraw(step.pending);
    if (step.in !== 'granted') return;
    step.lease.end();
    await releaseOne(this.#desk.keeper.backend, step.lease.grant);
  }

  get placed(): Promise<Placement> {
    return this.#placed;
  }

  toJSON(): object {
    return { keys: this.keys, state: this.#step.in };
  }

  /** LeaseHolder. Unclaimed grants are not renewed. */
  renewed(): void {
    // Never.
  }

  /** LeaseHolder. As long as it lasts, it can be claimed. */
  draining(): void {
    // The handle says it.
  }

  /** LeaseHolder. Nobody has claimed it in time. */
  lost(lease: Lease, reason: LossReason, cause: Error | undefined): void {
    const { server } = lease.grant;
    const key = this.keys[0]!;
    const gone = `${server}: lost the grant before it was claimed`;
    this.end(
      reason === 'expired'
        ? new LeaseExpiredError({ key, server })
        : new LockUnavailableError(gone, { key, server, cause }),
    );
  }

  /** Waiter */
  onPlaced(place: Placement): void {
    if (place === 'queued') this.#desk.queued(this.#request);
    this.#place.resolve(place);
  }

  /** Waiter */
  granted(grant: Grant): void {
    this.#place.resolve('acquired');
    // What is no grant, or has an owner that fails, has been given up.
    this.offer(grant).catch((error: unknown) => this.refused(error));
  }

  /** Waiter */
  refused(error: unknown): void {
    // The last word was the grant.
    if (this.#step.in === 'granted') return;
    const { name } = this.#desk.keeper.backend;
    this.end(this.#desk.explain(failureOf(name, 'enqueue', error), this.#request));
  }

  private async open(): Promise<Placement> {
    if (this.#step.in === 'over') throw this.#step.error;
    const queued: Step = { in: 'queued', pending: undefined };
    this.#step = queued;
    // The answer may come before the call returns.
    queued.pending = this.#desk.enqueue(this.#request, this);
    // Given up from within, by a sharding strategy say.
    if (this.isOver) withdraw(queued.pending);
    return this.#place.promise;
  }

  private get isOver(): boolean {
    return this.#step.in === 'over';
  }

  private async offer(grant: Grant): Promise<void> {
    const { keeper } = this.#desk;
    // Granted and given up in the same turn, or granted more than once.
    if (this.#step.in !== 'queued') return keeper.backend.abandon(grant);
    const lease = keeper.keep(grant, grant.req.leaseMs, 'manual');
    this.#step = { in: 'granted', lease };
    lease.handTo(this, 'manual');
    if (this.#claimants.size === 0 || !(await lease.check())) return;
    // Who waited when the look at the lease began may have gone since.
    const [first] = this.#claimants;
    if (!first) return;
    this.dismiss(first);
    try {
      first.resolve(this.claim(lease));
    } catch (error) {
      first.reject(error);
    }
  }

  private claim(lease: Lease): LockHandle {
    this.end(this.notEnqueued());
    return this.#desk.hold(this.#request, [lease], this.#since);
  }

  /** Nothing comes of it any more. */
  private end(error: unknown): void {
    if (this.#step.in === 'over') return;
    this.#step = { in: 'over', error: withOrigin(error, this.#desk.keeper) };
    this.#place.reject(error);
    this.#ignoreAbort?.();
    this.#desk.ended(this);
    for (const claimant of [...this.#claimants]) this.dismiss(claimant)?.reject(error);
  }

  /** Undefined if it has been told already. */
  private dismiss(claimant: Claimant): Claimant | undefined {
    this.#desk.alarms.cancel(claimant.alarm);
    return this.#claimants.delete(claimant) ? claimant : undefined;
  }

  private notEnqueued(): NotEnqueuedError {
    return new NotEnqueuedError({ key: this.keys[0]! });
  }
}
printAs('LockTicket', Ticket);
