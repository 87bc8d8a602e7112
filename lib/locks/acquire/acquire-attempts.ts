import type { AcquireRequest, Grant, LockBackend, Pending, Placement, Waiter } from '../../backends/backend.js';
import { failureOf } from '../../backends/guarded-backend.js';
import { whenAborted } from '../../common/abort.js';
import { type Alarm, type Alarms } from '../../common/alarms.js';
import { type LockError, LockUnavailableError } from '../../common/errors.js';
import { safetyMargin } from '../../common/safety-margin.js';
import type { Linked, LinkedList } from '../../common/linked-list.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import { isThenable } from '../../common/thenables.js';
import { isTransient } from '../../common/transient.js';

/** Shared by all acquires of a client. */
export interface AcquireContext {
  readonly backend: LockBackend;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** These alarms keep the process alive while a caller waits. */
  readonly alarms: Alarms;
  /** All acquires that are not over. */
  readonly waiting: LinkedList<Cancellable>;
}

/** A wait that can be cancelled. */
export interface Cancellable extends Linked<Cancellable> {
  cancel(reason: unknown): void;
}

/** Receives the outcome of an acquire: exactly one of `granted` and `failed` is called, once. */
export interface GrantReceiver {
  /** The receiver renews its grant, from the turn in which it is granted. Default false. */
  readonly autoRenew?: boolean;
  /** @param now the current time, just read from the clock */
  granted(grant: Grant, now: Ms): void;
  failed(error: unknown): void;
  /** The caller has a place in a queue. May be called more than once. */
  readonly queued?: (() => void) | undefined;
}

/**
 * Whether a grant is no longer certain. A process that stalled may read a reply that has waited in its buffers; its
 * caller must not begin work under a lock that another holder may have by now.
 */
export const isOver = ({ validFrom, leaseMs, owner }: Grant, now: Ms): boolean =>
  // Also true for NaN: a grant without a valid lease is no grant.
  !(now < Math.min(validFrom + leaseMs - safetyMargin(leaseMs), owner.provenUntil()));

const tooLate = ({ req, server }: Grant): LockUnavailableError =>
  new LockUnavailableError('granted, but the lease had ended when the reply was read', { key: req.key, server });

/** Gives up a grant that is no longer certain and returns the error; undefined: the grant is certain. */
export function giveUpUnsure(backend: LockBackend, grant: Grant, now: Ms): LockError | undefined {
  let why: LockError;
  try {
    if (!isOver(grant, now)) return undefined;
    why = tooLate(grant);
  } catch (error) {
    // Not a grant at all, or one whose owner throws.
    why = failureOf(backend.name, 'a grant', error);
  }
  backend.abandon(grant);
  return why;
}

/** Cancels a place. A grant that still arrives is abandoned. */
export function withdraw(pending: Pending): void {
  try {
    const returned: unknown = pending.cancel();
    if (isThenable(returned)) returned.then(undefined, () => undefined);
  } catch {
    // The caller has stopped waiting anyway.
  }
}

/** The pause between attempts: the bound doubles, and the pause is random in its upper half. */
const MIN_PAUSE_MS: Ms = 25;
const MAX_PAUSE_MS: Ms = 250;

/** starting → attempting ⇄ pausing (until the alarm) → over. */
type Step = 'starting' | 'attempting' | 'pausing' | 'over';

/** One caller that waits for a lock, with as many attempts as its deadline allows. */
export class AcquireAttempts implements Alarm, Cancellable, Waiter {
  due: Ms = Infinity;
  slot = -1;
  prev: Cancellable | undefined = undefined;
  next: Cancellable | undefined = undefined;
  private step: Step = 'starting';
  private pending: Pending | undefined = undefined;
  private pauseMs = MIN_PAUSE_MS;
  /** The error of the last attempt, reported to the caller if there is no time for another. */
  private lastError: unknown = undefined;
  private ignoreAbort: (() => void) | undefined = undefined;

  constructor(
    private readonly context: AcquireContext,
    private readonly req: AcquireRequest,
    private readonly signal: AbortSignal | undefined,
    private readonly receiver: GrantReceiver,
  ) {}

  start(): void {
    const { signal } = this;
    if (signal) this.ignoreAbort = whenAborted(signal, () => this.cancel(signal.reason));
    this.attempt();
  }

  /** Stops waiting; the caller is refused with `reason` at once. */
  cancel(reason: unknown): void {
    const { step, pending } = this;
    if (step === 'over') return;
    this.finish();
    if (step === 'attempting' && pending) withdraw(pending);
    this.receiver.failed(reason);
  }

  /** Ends a pause now: what was missing may be available. */
  wake(): void {
    if (this.step === 'pausing') this.attempt();
  }

  /** Alarm: the pause is over. */
  ring(now: Ms): void {
    if (now < this.req.deadline) return this.attempt();
    this.finish();
    this.receiver.failed(this.lastError);
  }

  /** Waiter */
  get autoRenew(): boolean {
    return this.receiver.autoRenew === true;
  }

  /** Waiter */
  onPlaced(place: Placement): void {
    if (place === 'queued') this.receiver.queued?.();
  }

  /** Waiter */
  granted(grant: Grant): void {
    const { backend, clock } = this.context;
    // Sent before the cancellation arrived, or sent twice.
    if (this.step === 'over') return backend.abandon(grant);
    const now = clock.now();
    const unsure = giveUpUnsure(backend, grant, now);
    if (unsure) return this.refused(unsure);
    this.finish();
    this.receiver.granted(grant, now);
  }

  /** Waiter */
  refused(error: unknown): void {
    if (this.step === 'over') return;
    const { backend, clock, entropy, alarms } = this.context;
    const left = this.req.deadline - clock.now();
    if (!isTransient(error) || left <= 0) {
      this.finish();
      return this.receiver.failed(failureOf(backend.name, 'enqueue', error));
    }
    this.lastError = error;
    this.step = 'pausing';
    this.pending = undefined;
    const pause = this.pauseMs * (0.5 + entropy.unit() / 2);
    this.pauseMs = Math.min(2 * this.pauseMs, MAX_PAUSE_MS);
    alarms.set(this, clock.now() + Math.min(left, pause));
  }

  private attempt(): void {
    this.context.alarms.cancel(this);
    this.step = 'attempting';
    let pending: Pending;
    try {
      pending = this.context.backend.enqueue(this.req, 'queue', this);
    } catch (error) {
      return this.refused(error);
    }
    if (this.isAttempting) this.pending = pending;
    // Answered during the call, or cancelled during it, for example by a sharding strategy.
    else withdraw(pending);
  }

  private get isAttempting(): boolean {
    return this.step === 'attempting';
  }

  private finish(): void {
    const { context } = this;
    this.step = 'over';
    this.pending = undefined;
    context.alarms.cancel(this);
    this.ignoreAbort?.();
    context.waiting.remove(this);
  }
}
