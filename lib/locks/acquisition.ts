import type { AcquireRequest, Grant, LockBackend, Pending } from '../backends/backend.js';
import { type Alarm, type Alarms } from '../common/alarms.js';
import {
  LeaseExpiredError,
  LockUnavailableError,
  MaxLocksError,
  MaxWaitersError,
  NotLeaderError,
  PoolExhaustedError,
  ProtocolError,
  ServerDrainingError,
} from '../common/errors.js';
import { guardOf } from '../common/guard.js';
import type { Linked } from '../common/linked-list.js';
import type { Clock, Entropy, Ms } from '../common/system.js';

/** What all acquisitions of a client share. */
export interface AcquireContext {
  readonly backend: LockBackend;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Keep the process alive: somebody waits. */
  readonly alarms: Alarms;
}

/** Something that waits and can be made to give up. */
export interface Waiter extends Linked<Waiter> {
  cancel(reason: unknown): void;
}

/** What may be over soon: worth another attempt while there is time. */
const PASSING = [
  LockUnavailableError,
  ServerDrainingError,
  NotLeaderError,
  ProtocolError,
  LeaseExpiredError,
  MaxWaitersError,
  MaxLocksError,
  PoolExhaustedError,
];

/** Whether another attempt may succeed. */
export const isPassing = (error: unknown): boolean => PASSING.some((type) => error instanceof type);

/**
 * Whether nothing is sure about a grant any more. A process that stalled reads an answer that has waited in its buffers:
 * nobody may begin to work under a lock that somebody else may have.
 */
export const isOver = ({ validFrom, leaseMs, owner }: Grant, now: Ms): boolean =>
  now >= Math.min(validFrom + leaseMs - guardOf(leaseMs), owner.provenUntil());

export const tooLate = ({ req, server }: Grant): LockUnavailableError =>
  new LockUnavailableError('granted, but the lease was over when the answer was read', { key: req.key, server });

/** Between attempts; the bound doubles, the delay is its upper half at random. */
const LEAST_PAUSE_MS: Ms = 25;
const MOST_PAUSE_MS: Ms = 250;

/** starting → attempting ⇄ pausing (until the alarm) → over. */
type Step = 'starting' | 'attempting' | 'pausing' | 'over';

/** One caller that waits for a lock, through as many attempts as there is time for. */
export class Acquisition implements Alarm, Waiter {
  due: Ms = Infinity;
  slot = -1;
  prev: Waiter | undefined = undefined;
  next: Waiter | undefined = undefined;
  readonly promise: Promise<Grant>;
  private resolve!: (grant: Grant) => void;
  private reject!: (reason: unknown) => void;
  private step: Step = 'starting';
  private pending: Pending | undefined = undefined;
  private pauseMs = LEAST_PAUSE_MS;
  /** What the last attempt met; what the caller is told if there is no time for another. */
  private lastError: unknown;

  /**
   * @param queued called when the request has its place in a line
   * @param ended called once, when the promise is settled
   */
  constructor(
    private readonly context: AcquireContext,
    private readonly req: AcquireRequest,
    private readonly queued: (() => void) | undefined,
    private readonly ended: (acquisition: Acquisition) => void,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  start(): void {
    this.attempt();
  }

  /** Gives up; the caller is rejected with `reason` at once. */
  cancel(reason: unknown): void {
    const { step, pending } = this;
    if (step === 'over') return;
    this.finish();
    this.reject(reason);
    if (step === 'attempting') pending!.cancel(reason);
  }

  /** A pause ends now: what was missing may be there. */
  wake(): void {
    if (this.step === 'pausing') this.attempt();
  }

  /** Alarm: a pause is over. */
  ring(now: Ms): void {
    if (now < this.req.deadline) return this.attempt();
    this.finish();
    this.reject(this.lastError);
  }

  private attempt(): void {
    this.context.alarms.cancel(this);
    try {
      const pending = this.context.backend.enqueue(this.req, 'line');
      this.step = 'attempting';
      this.pending = pending;
      if (this.queued) {
        const { queued } = this;
        pending.placed.then(
          (place) => place === 'queued' && queued(),
          () => undefined,
        );
      }
      pending.grant.then(this.granted, this.failed);
    } catch (error) {
      this.failed(error);
    }
  }

  private readonly granted = (grant: Grant): void => {
    // Granted and given up in the same turn.
    const { backend, clock } = this.context;
    if (this.step === 'over') return backend.abandon(grant);
    if (isOver(grant, clock.now())) {
      backend.abandon(grant);
      return this.failed(tooLate(grant));
    }
    this.finish();
    this.resolve(grant);
  };

  private readonly failed = (error: unknown): void => {
    if (this.step === 'over') return;
    const { clock, entropy, alarms } = this.context;
    const left = this.req.deadline - clock.now();
    if (!isPassing(error) || left <= 0) {
      this.finish();
      return this.reject(error);
    }
    this.lastError = error;
    this.step = 'pausing';
    const pause = this.pauseMs * (0.5 + entropy.unit() / 2);
    this.pauseMs = Math.min(2 * this.pauseMs, MOST_PAUSE_MS);
    alarms.set(this, clock.now() + Math.min(left, pause));
  };

  private finish(): void {
    this.step = 'over';
    this.pending = undefined;
    this.context.alarms.cancel(this);
    this.ended(this);
  }
}
