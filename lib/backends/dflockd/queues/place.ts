import { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Reply } from '../../../protocol/messages.js';
import type { Resource, LaneGrant } from './local-waiter.js';
import type { Exchange } from '../lanes/exchange.js';
import type { Lane } from '../lanes/lane.js';
import { gone } from '../lanes/lane-errors.js';
import type { Taken, WhyWait } from '../lanes/wait-lanes.js';

/**
 * fetching: waiting for a lane. asking: in the server's queue. answered: out of the queue again; asks again or ends.
 * over.
 */
export type PlaceState = 'fetching' | 'asking' | 'answered' | 'over';
type PlaceEvent = 'ask' | 'answer' | 'end';

const TABLE: Readonly<Record<PlaceState, Readonly<Partial<Record<PlaceEvent, PlaceState>>>>> = {
  fetching: { ask: 'asking', end: 'over' },
  asking: { answer: 'answered', end: 'over' },
  answered: { ask: 'asking', end: 'over' },
  over: { end: 'over' },
};

/** Makes every transition. One that is not in the table is a bug in the caller. */
export function nextPlaceState(state: PlaceState, event: PlaceEvent): PlaceState {
  const next = TABLE[state][event];
  if (next === undefined) throw new Error(`a place that is ${state} cannot "${event}"`);
  return next;
}

export interface PlaceHost {
  readonly resource: Resource;
  /** The request to send now: the lease of the head, and the time until the latest deadline. */
  nextRequest(): { readonly leaseMs: Ms; readonly waitMs: Ms };
  asked(place: Place): void;
  /** The place is over. */
  granted(place: Place, grant: LaneGrant, askedMs: Ms): void;
  /** The place may ask again. */
  timedOut(place: Place): void;
  /** As timedOut: the grant expired before the server could deliver it. `askedAt`: the time of the request. */
  expired(place: Place, askedAt: Ms): void;
  /** The place is over. `why`: the error of its connection, or the reply with which the server refused it. */
  failed(place: Place, why: LockError | Reply): void;
}

export interface PlacePool {
  readonly config: { readonly autoRelease: boolean };
  wait(why: WhyWait, callback: Taken): (() => void) | undefined;
}

/** A place in the server's queue, on a lane of its own. It belongs to the key, not to a waiter. */
export class Place {
  state: PlaceState = 'fetching';
  private lane: Lane | undefined;
  private exchange: Exchange | undefined;
  private stopFetching: (() => void) | undefined;

  constructor(
    private readonly host: PlaceHost,
    private readonly pool: PlacePool,
  ) {}

  /** Time since which it has been in the server's queue, as far as is known; Infinity while it is not. */
  get askedAt(): Ms {
    return this.state === 'asking' ? this.exchange?.sentAt || Infinity : Infinity;
  }

  /** Returns false if no lane is available. @throws as WaitLanes.take */
  open(why: WhyWait): boolean {
    this.stopFetching = this.pool.wait(why, (outcome) => {
      if (outcome instanceof LockError) return this.fail(outcome);
      this.lane = outcome;
      this.ask();
    });
    return this.stopFetching !== undefined;
  }

  /** Enters the server's queue, at its end. */
  ask(): void {
    const lane = this.lane!;
    const { kind, key, limit } = this.host.resource;
    const { leaseMs, waitMs } = this.host.nextRequest();
    this.to('ask');
    this.exchange = lane.send({ t: 'acquire', kind, key, limit, waitMs, leaseMs }, (outcome, sentAt) => {
      if (this.state !== 'asking') return;
      this.to('answer');
      if (outcome instanceof LockError || outcome.s === 'error') {
        // An unanswered request may still be granted, and a bare `error` may announce the end of the connection (rule
        // 7).
        this.fail(outcome);
        lane.end(gone(lane.server, 'given up'));
      } else if (outcome.s === 'granted') {
        this.to('end');
        const { token, leaseMs: grantedMs } = outcome;
        this.host.granted(this, { lane, token, leaseMs: grantedMs, validFrom: sentAt }, leaseMs);
      } else if (outcome.s === 'timeout') this.host.timedOut(this);
      else if (outcome.s === 'lease_expired') this.host.expired(this, sentAt);
      else this.fail(outcome);
    });
    this.host.asked(this);
  }

  /** The place is no longer needed. */
  cancel(): void {
    const { state, lane } = this;
    this.to('end');
    if (state === 'fetching') this.stopFetching?.();
    if (state !== 'asking') return;
    // Closing the connection is the only way out of the queue (spec 1.7). Where that releases nothing, a grant that
    // still arrives is released (rule 10).
    if (this.pool.config.autoRelease) lane!.end(gone(lane!.server, 'given up'));
    else lane!.forget(this.exchange!);
  }

  private fail(why: LockError | Reply): void {
    this.to('end');
    this.host.failed(this, why);
  }

  private to(event: PlaceEvent): void {
    this.state = nextPlaceState(this.state, event);
  }
}
