import { LockError } from '../../../common/errors.js';
import { safetyMargin } from '../../../common/safety-margin.js';
import type { Ms } from '../../../common/system.js';
import type { LocalWaiter, LaneGrant, Resource } from './local-waiter.js';
import { gone } from '../lanes/lane-errors.js';

/**
 * A grant is renewed before it is handed over if less than this part of it remains certain when its reply is read (rule
 * 2).
 */
const SURE_PART = 0.5;

/** What is needed to judge how certain a grant is. */
export interface SurenessContext {
  readonly clock: { now(): Ms };
  readonly readTimeoutMs: Ms;
  readonly config: { readonly autoRelease: boolean };
}

const seconds = (ms: Ms): number => Math.ceil(ms / 1000);

/** Whether the reply is too old to rely on: after a long wait the send time of the request says little. */
export function isStale(
  { lane, leaseMs, validFrom }: LaneGrant,
  { clock, readTimeoutMs, config }: SurenessContext,
): boolean {
  const { autoRelease } = config;
  const until = autoRelease ? Math.min(validFrom + leaseMs, lane.provenUntil()) : validFrom + leaseMs;
  const term = autoRelease ? Math.min(leaseMs, readTimeoutMs) : leaseMs;
  return until - clock.now() < SURE_PART * term;
}

/** Whether the lease may have run out before the reply was read. */
export function isSpent({ lane, leaseMs, validFrom }: LaneGrant, { clock, config }: SurenessContext): boolean {
  const until = validFrom + leaseMs - safetyMargin(leaseMs);
  return clock.now() >= (config.autoRelease ? Math.min(until, lane.provenUntil()) : until);
}

/** Whether the requested lease differs from the one that the waiter wants. The wire carries whole seconds. */
export const isOtherLease = (askedMs: Ms, wantedMs: Ms): boolean => seconds(askedMs) !== seconds(wantedMs);

export interface HandoverHost {
  readonly resource: Resource;
  /** The grant is ready, with the lease that `waiter` wanted. Undefined: the waiter has left in the meantime. */
  ready(handover: Handover, grant: LaneGrant, askedMs: Ms, waiter: LocalWaiter | undefined): void;
  /**
   * The grant was lost, and its lane cannot be used for it any more.
   * @param lapsed the server itself reports that the lease had run out
   */
  renewFailed(handover: Handover, error: LockError, waiter: LocalWaiter | undefined, lapsed: boolean): void;
}

/**
 * Renews a grant before it is handed over: because its reply came late, or because its lease is not the one that the
 * waiter wants and the waiter does not renew it itself.
 */
export class Handover {
  constructor(
    private readonly host: HandoverHost,
    private readonly grant: LaneGrant,
    private waiter: LocalWaiter | undefined,
    private readonly leaseMs: Ms,
  ) {
    waiter!.handover = this;
  }

  start(): void {
    const { lane, token } = this.grant;
    const { kind, key } = this.host.resource;
    const { leaseMs } = this;
    lane.adopt();
    lane.send({ t: 'renew', kind, key, token, leaseMs }, (outcome, sentAt) => {
      const { waiter } = this;
      this.leave();
      if (!(outcome instanceof LockError) && outcome.s === 'renewed') {
        const renewed = { lane, token, validFrom: sentAt, leaseMs: outcome.leaseMs };
        this.host.ready(this, renewed, leaseMs, waiter);
        // The new holder has adopted the lane by now.
        return lane.disown();
      }
      const error =
        outcome instanceof LockError ? outcome : gone(lane.server, 'the grant was lost before it was renewed');
      // An unanswered renewal may have succeeded, so the lock may still be held.
      if (lane.role === 'wait') lane.end(gone(lane.server, 'given up'));
      else if (outcome instanceof LockError) lane.send({ t: 'release', kind, key, token }, () => undefined);
      lane.disown();
      this.host.renewFailed(this, error, waiter, error !== outcome);
    });
  }

  /** Refuses the waiter. */
  evict(error: LockError): void {
    const { waiter } = this;
    this.leave();
    waiter?.failed(error);
  }

  /** The waiter that gets the grant if it is not gone by then. */
  get recipient(): LocalWaiter | undefined {
    return this.waiter;
  }

  /** The waiter has left or has another grant; the next one gets this grant. */
  leave(): void {
    if (this.waiter) this.waiter.handover = undefined;
    this.waiter = undefined;
  }
}
