import { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { LocalWaiter, LaneGrant, Resource } from './local-waiter.js';
import type { Exchange } from '../lanes/exchange.js';
import type { Lane } from '../lanes/lane.js';
import type { KeyQueueState } from './key-queue-state.js';
import { replyError } from '../../../protocol/reply-error.js';

export interface PollHost {
  readonly resource: Resource;
  readonly pool: { readonly server: string; command(): Lane | undefined };
  readonly state: KeyQueueState;
  readonly head: LocalWaiter | undefined;
  offer(grant: LaneGrant, askedMs: Ms): void;
  /** Schedules the next try. */
  again(): void;
  /** The try failed rather than being refused. */
  onTransientError(error: LockError): void;
}

/**
 * Polls for a key queue that has no lane for a place: one try at a time, over a command lane, for the waiter at the
 * head.
 * Polling begins in KeyQueue.startPolling, when WaitLanes.take has no lane, and ends when a place has one or nobody waits
 * any more.
 */
export class Poll {
  private trial: { readonly lane: Lane; readonly exchange: Exchange } | undefined;

  constructor(private readonly host: PollHost) {}

  try(): void {
    const { resource, pool, head } = this.host;
    if (this.trial || !head) return;
    const lane = pool.command();
    if (!lane) return this.host.again();
    const { leaseMs } = head;
    const exchange = lane.send({ t: 'acquire', ...resource, waitMs: 0, leaseMs }, (outcome, validFrom) => {
      this.trial = undefined;
      if (outcome instanceof LockError) this.host.onTransientError(outcome);
      else if (outcome.s === 'granted') {
        this.host.offer({ lane, token: outcome.token, leaseMs: outcome.leaseMs, validFrom }, leaseMs);
        // If one slot was free, others may be too.
        if (this.host.state !== 'polling') return;
        if (resource.limit === 1) this.host.again();
        else this.try();
      } else if (outcome.s === 'timeout' || outcome.s === 'max_waiters') this.host.again();
      else this.host.onTransientError(replyError(outcome, 'acquire', resource.key, pool.server));
    });
    if (exchange.done && !lane.isEnded) this.trial = { lane, exchange };
  }

  /** Stops polling. A grant that still arrives is released. */
  stop(): void {
    if (this.trial) this.trial.lane.forget(this.trial.exchange);
    this.trial = undefined;
  }
}
