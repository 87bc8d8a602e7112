import { LockError } from '../../../common/errors.js';
import { safetyMargin } from '../../../common/safety-margin.js';
import type { Ms } from '../../../common/system.js';
import type { LocalWaiter, LaneGrant, Resource } from './local-waiter.js';
import { gone } from '../lanes/lane-errors.js';

/** A grant of which less than this part is sure when its answer arrives is renewed before it is handed over (rule 2). */
const SURE_PART = 0.5;

/** What a grant has to be judged by. */
export interface SurenessContext {
  readonly clock: { now(): Ms };
  readonly readTimeoutMs: Ms;
  readonly config: { readonly autoRelease: boolean };
}

const seconds = (ms: Ms): number => Math.ceil(ms / 1000);

/** Whether the answer is too old to rely on: after a long wait the send time of the request says little. */
export function isStale(
  { lane, leaseMs, validFrom }: LaneGrant,
  { clock, readTimeoutMs, config }: SurenessContext,
): boolean {
  const { autoRelease } = config;
  const until = autoRelease ? Math.min(validFrom + leaseMs, lane.provenUntil()) : validFrom + leaseMs;
  const term = autoRelease ? Math.min(leaseMs, readTimeoutMs) : leaseMs;
  return until - clock.now() < SURE_PART * term;
}

/** Whether nothing is sure any more: the lease may have run out before its answer was read. */
export function isSpent({ lane, leaseMs, validFrom }: LaneGrant, { clock, config }: SurenessContext): boolean {
  const until = validFrom + leaseMs - safetyMargin(leaseMs);
  return clock.now() >= (config.autoRelease ? Math.min(until, lane.provenUntil()) : until);
}

/** Whether the lease that was asked for is another one than the waiter wants. The wire counts whole seconds. */
export const isOtherLease = (askedMs: Ms, wantedMs: Ms): boolean => seconds(askedMs) !== seconds(wantedMs);

export interface HandoverHost {
  readonly resource: Resource;
  /** The grant is ready, with a lease as `waiter` wanted it; undefined: the waiter has left meanwhile. */
  ready(handover: Handover, grant: LaneGrant, askedMs: Ms, waiter: LocalWaiter | undefined): void;
  /**
   * The grant was lost on the way; its lane is of no more use for it.
   * @param lapsed the server says so itself: the lease ran out before the grant was read
   */
  renewFailed(handover: Handover, error: LockError, waiter: LocalWaiter | undefined, lapsed: boolean): void;
}

/**
 * A grant that is renewed before somebody gets it: because its answer came late, or because it has another lease than a
 * waiter wants who does not renew it.
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
        // Now that whoever has it has adopted it.
        return lane.disown();
      }
      const error = outcome instanceof LockError ? outcome : gone(lane.server, 'lost while it was granted');
      // What was not answered may be held yet.
      if (lane.role === 'wait') lane.end(gone(lane.server, 'given up'));
      else if (outcome instanceof LockError) lane.send({ t: 'release', kind, key, token }, () => undefined);
      lane.disown();
      this.host.renewFailed(this, error, waiter, error !== outcome);
    });
  }

  /** Sends the waiter away. */
  evict(error: LockError): void {
    const { waiter } = this;
    this.leave();
    waiter?.failed(error);
  }

  /** Who is to get the grant, if it is not gone by then. */
  get heir(): LocalWaiter | undefined {
    return this.waiter;
  }

  /** The waiter has gone, or has another grant; somebody else gets this one. */
  leave(): void {
    if (this.waiter) this.waiter.handover = undefined;
    this.waiter = undefined;
  }
}
