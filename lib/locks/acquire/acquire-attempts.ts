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

/** What all acquires of a client share. */
export interface AcquireContext {
  readonly backend: LockBackend;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Keep the process alive: somebody waits. */
  readonly alarms: Alarms;
  /** All that are not over. */
  readonly waiting: LinkedList<Cancellable>;
}

/** Something that is waited for and can be given up. */
export interface Cancellable extends Linked<Cancellable> {
  cancel(reason: unknown): void;
}

/** For whom a lock is waited for: one of `granted` and `failed` is called, once. */
export interface GrantReceiver {
  /** Renews what it gets, from the turn in which it gets it. Default false. */
  readonly autoRenew?: boolean;
  /** @param now the clock, as it has just been read */
  granted(grant: Grant, now: Ms): void;
  failed(error: unknown): void;
  /** It has a place in a queue. May be told more than once. */
  readonly queued?: (() => void) | undefined;
}

/**
 * Whether nothing is sure about a grant any more. A process that stalled reads an answer that has waited in its buffers:
 * nobody may begin to work under a lock that somebody else may have.
 */
export const isOver = ({ validFrom, leaseMs, owner }: Grant, now: Ms): boolean =>
  // Also where there is no number: a backend that does not say how long has granted nothing.
  !(now < Math.min(validFrom + leaseMs - safetyMargin(leaseMs), owner.provenUntil()));

const tooLate = ({ req, server }: Grant): LockUnavailableError =>
  new LockUnavailableError('granted, but the lease was over when the answer was read', { key: req.key, server });

/** Gives a grant up that is of no use, and returns why; undefined: it is sure. */
export function giveUpUnsure(backend: LockBackend, grant: Grant, now: Ms): LockError | undefined {
  let why: LockError;
  try {
    if (!isOver(grant, now)) return undefined;
    why = tooLate(grant);
  } catch (error) {
    // No grant, or one whose owner cannot say how long it is there.
    why = failureOf(backend.name, 'a grant', error);
  }
  backend.abandon(grant);
  return why;
}

/** Gives a place up. What still comes of it is abandoned. */
export function withdraw(pending: Pending): void {
  try {
    const returned: unknown = pending.cancel();
    if (isThenable(returned)) returned.then(undefined, () => undefined);
  } catch {
    // The caller has gone all the same.
  }
}

/** Between attempts; the bound doubles, the delay is its upper half at random. */
const MIN_PAUSE_MS: Ms = 25;
const MAX_PAUSE_MS: Ms = 250;

/** starting → attempting ⇄ pausing (until the alarm) → over. */
type Step = 'starting' | 'attempting' | 'pausing' | 'over';

/** One caller that waits for a lock, through as many attempts as there is time for. */
export class AcquireAttempts implements Alarm, Cancellable, Waiter {
  due: Ms = Infinity;
  slot = -1;
  prev: Cancellable | undefined = undefined;
  next: Cancellable | undefined = undefined;
  private step: Step = 'starting';
  private pending: Pending | undefined = undefined;
  private pauseMs = MIN_PAUSE_MS;
  /** What the last attempt met; what the caller is told if there is no time for another. */
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

  /** Gives up; the caller is told `reason` at once. */
  cancel(reason: unknown): void {
    const { step, pending } = this;
    if (step === 'over') return;
    this.finish();
    if (step === 'attempting' && pending) withdraw(pending);
    this.receiver.failed(reason);
  }

  /** A pause ends now: what was missing may be there. */
  wake(): void {
    if (this.step === 'pausing') this.attempt();
  }

  /** Alarm: a pause is over. */
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
    // Said before it was cancelled, or more than once.
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
    // Answered already, as often; or given up from within, by a sharding strategy say.
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
