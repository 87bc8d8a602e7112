import type { Grant, Pending, Placement, Waiter } from '../../backends/backend.js';
import { failureOf } from '../../backends/guarded-backend.js';
import { whenAborted } from '../../common/abort.js';
import { type Alarm, type Alarms, newAlarm } from '../../common/alarms.js';
import { Deferred } from '../../common/deferred.js';
import { withOrigin } from '../../common/error-origin.js';
import { LeaseExpiredError, LockUnavailableError, type LossReason, NotEnqueuedError } from '../../common/errors.js';
import { printAs } from '../../common/inspection.js';
import { LONGEST_TIMER, type Ms } from '../../common/system.js';
import { releaseOne } from '../handle/release-all.js';
import type { Lease, LeaseHolder } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { LockHandle } from '../handle/lock-handle.js';
import { withdraw } from '../acquire/acquire-attempts.js';
import type { CheckedAcquire } from '../acquire/checked-acquire.js';
import { checkAcquireTimeout } from '../options/resolve-options.js';

/** A place in the queue of a key, taken now and waited for later (two-phase acquire). */
export interface LockTicket {
  readonly keys: readonly string[];
  /** The state of the place: `acquired`, the lock was free; `queued`, others are ahead. Rejects as `wait` does. */
  readonly placed: Promise<'acquired' | 'queued'>;
  /**
   * Waits for the lock, at most `timeoutS` seconds (default: the ticket's `acquireTimeoutS`). Null: not granted yet,
   * and the place is kept. A lock granted while nobody waited can be claimed until its lease ends; it is not renewed
   * before that. Only one call gets the handle.
   * @throws LeaseExpiredError (granted but not claimed in time), NotEnqueuedError (cancelled, or claimed already),
   * PoolExhaustedError (no connection available), LockUnavailableError (the place was lost with its connection), the
   * reason of the signal, ShuttingDownError, ConfigError, or the error that refused the place
   */
  wait(timeoutS?: number): Promise<LockHandle | null>;
  /** Leaves the queue, or releases an unclaimed lock. Idempotent; never rejects. */
  cancel(): Promise<void>;
  /** Plain data: the keys and the state of the place. */
  toJSON(): object;
}

/** What a ticket needs from its client. */
export interface TicketHost {
  readonly keeper: LeaseKeeper;
  /** These alarms keep the process alive while a caller waits. */
  readonly alarms: Alarms;
  /** Undefined: the backend has started. @throws the error that voids the ticket */
  ready(request: CheckedAcquire): Promise<void> | undefined;
  /** Takes a place. @throws the error that refuses it */
  enqueue(request: CheckedAcquire, waiter: Waiter): Pending;
  /** @throws UnsupportedError, having released the lease */
  hold(request: CheckedAcquire, leases: readonly Lease[], since: Ms): LockHandle;
  queued(request: CheckedAcquire): void;
  /** Maps the key in an error to the one that the user wrote. */
  explain(error: unknown, request: CheckedAcquire): unknown;
  ended(ticket: Ticket): void;
}

/** opening → queued → granted (unclaimed) → over; each may end early. */
type Step =
  | { in: 'opening' }
  | { in: 'queued'; pending: Pending | undefined }
  | { in: 'granted'; lease: Lease }
  | { in: 'over'; error: unknown };

/** A pending call of wait(). */
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
  /** Keeps the process alive until the place is known: somebody may wait for that who has no deadline. */
  readonly #awake = newAlarm(() => undefined);
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
    // Before the place is requested: it may be refused at once, and ending the ticket must find this to undo.
    if (signal) this.#ignoreAbort = whenAborted(signal, () => void this.giveUp(signal.reason));
    const ready = desk.ready(request);
    // At once if the backend has started.
    this.#placed = ready ? ready.then(() => this.open()) : this.open();
    // Waiting callers receive the error, so this promise may stay unhandled.
    this.#placed.catch((error: unknown) => this.end(error));
  }

  async wait(timeoutS?: number): Promise<LockHandle | null> {
    const timeoutMs = checkAcquireTimeout(timeoutS) ?? this.#request.waitMs;
    const until = this.#desk.keeper.clock.now() + timeoutMs;
    // After a stall, unread input may hold proof of the lease.
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

  /** Gives up the place and tells waiting callers why. Never throws. */
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

  /** LeaseHolder. The lock can be claimed as long as its lease lasts. */
  draining(): void {
    // The handle will report it.
  }

  /** LeaseHolder. The lock was not claimed in time. */
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
    this.placedAs(place);
  }

  /** Waiter */
  granted(grant: Grant): void {
    this.placedAs('acquired');
    // An invalid grant, or one whose owner throws, has been given up.
    this.offer(grant).catch((error: unknown) => this.refused(error));
  }

  /** Waiter */
  refused(error: unknown): void {
    // The grant was the final answer.
    if (this.#step.in === 'granted') return;
    const { name } = this.#desk.keeper.backend;
    this.end(this.#desk.explain(failureOf(name, 'enqueue', error), this.#request));
  }

  private async open(): Promise<Placement> {
    if (this.#step.in === 'over') throw this.#step.error;
    const queued: Step = { in: 'queued', pending: undefined };
    this.#step = queued;
    this.#desk.alarms.set(this.#awake, this.#desk.keeper.clock.now() + LONGEST_TIMER);
    // The answer may come before the call returns.
    queued.pending = this.#desk.enqueue(this.#request, this);
    // Cancelled during the call, for example by a sharding strategy.
    if (this.isOver) withdraw(queued.pending);
    return this.#place.promise;
  }

  private placedAs(place: Placement): void {
    this.#desk.alarms.cancel(this.#awake);
    this.#place.resolve(place);
  }

  private get isOver(): boolean {
    return this.#step.in === 'over';
  }

  private async offer(grant: Grant): Promise<void> {
    const { keeper } = this.#desk;
    // Granted and cancelled in the same turn, or granted twice.
    if (this.#step.in !== 'queued') return keeper.backend.abandon(grant);
    const lease = keeper.keep(grant, grant.req.leaseMs, 'manual');
    this.#step = { in: 'granted', lease };
    lease.handTo(this, 'manual');
    if (this.#claimants.size === 0 || !(await lease.check())) return;
    // The caller that waited when the lease check began may have left since.
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

  /** Ends the ticket without a lock. */
  private end(error: unknown): void {
    if (this.#step.in === 'over') return;
    this.#step = { in: 'over', error: withOrigin(error, this.#desk.keeper) };
    this.#desk.alarms.cancel(this.#awake);
    this.#place.reject(error);
    this.#ignoreAbort?.();
    this.#desk.ended(this);
    for (const claimant of [...this.#claimants]) this.dismiss(claimant)?.reject(error);
  }

  /** Undefined if the caller has been answered already. */
  private dismiss(claimant: Claimant): Claimant | undefined {
    this.#desk.alarms.cancel(claimant.alarm);
    return this.#claimants.delete(claimant) ? claimant : undefined;
  }

  private notEnqueued(): NotEnqueuedError {
    return new NotEnqueuedError({ key: this.keys[0]! });
  }
}
printAs('LockTicket', Ticket);
