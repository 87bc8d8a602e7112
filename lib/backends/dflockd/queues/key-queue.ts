import type { Alarm } from '../../../common/alarms.js';
import { AcquireTimeoutError, LockError, ProtocolError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import { MAX_SECONDS } from '../../../protocol/limits.js';
import type { Reply } from '../../../protocol/messages.js';
import { explained } from '../lanes/lane-errors.js';
import type { LocalWaiter, LaneGrant, Resource } from './local-waiter.js';
import { LocalWaiters } from './local-waiters.js';
import { Delivery, type DeliveryHost } from './delivery.js';
import type { QueuePool } from './queue-pool.js';
import { type KeyQueueEvent, type KeyQueueState, nextKeyQueueState } from './key-queue-state.js';
import { exhausted } from './pool-exhausted.js';
import { Place, type PlaceHost } from './place.js';
import { placeLease } from './place-lease.js';
import { Poll, type PollHost } from './poll.js';
import { RetryPauses } from './retry-pauses.js';
import { replyError } from '../../../protocol/reply-error.js';

/** Told by a key queue about itself. */
export interface KeyQueueKeeper {
  changed(queue: KeyQueue, from: KeyQueueState): void;
}

/** Who refuses does so at once: a place that has asked for longer stands in the queue. */
const PROMPT_MS: Ms = 25;

/**
 * Acquires of this process that wait for the same thing, first in, first out. Places in the server's queue belong to the
 * queue: a grant, whichever lane brought it, goes to the waiter at the head.
 */
export class KeyQueue implements Alarm, PlaceHost, DeliveryHost, PollHost {
  due: Ms = Infinity;
  slot = -1;
  /** DeliveryHost */
  readonly waiters = new LocalWaiters();
  /** The most senior one first. */
  private readonly places: Place[] = [];
  private readonly delivery = new Delivery(this);
  private readonly pauses: RetryPauses;
  private readonly poll: Poll;
  /** No new places before this. */
  private resumeAt: Ms = -Infinity;
  /** Why there is no place. */
  private trouble: LockError | undefined;

  /** @param state `trying` if a try is on its way for the waiter who is the first to join */
  constructor(
    readonly resource: Resource,
    readonly pool: QueuePool,
    private readonly keeper: KeyQueueKeeper,
    public state: KeyQueueState,
  ) {
    this.pauses = new RetryPauses(pool.entropy, pool.config.reconnect.maxDelayMs);
    this.poll = new Poll(this);
  }

  get head(): LocalWaiter | undefined {
    return this.waiters.head;
  }

  /** Puts the waiter at the end. */
  join(waiter: LocalWaiter): void {
    this.waiters.push(waiter);
    this.adjust();
    // It has no place of its own to wait for.
    if (this.waiters.size > this.pool.config.waitersPerKey || this.places.length === 0) waiter.queued();
  }

  /** The waiter does not wait any more; the places stay with the key queue. */
  leave(waiter: LocalWaiter): void {
    if (waiter.handover) waiter.handover.leave();
    else this.waiters.remove(waiter);
    this.adjust();
  }

  /** What a waiter is told whose deadline has come. */
  deadlineError(key: string): LockError {
    const { server, isLinked, outage, shortage } = this.pool;
    if (!isLinked && outage) return outage;
    if (this.state === 'polling' || (shortage !== undefined && !this.isWaiting)) {
      return exhausted(this.pool, key, shortage);
    }
    if (this.isWaiting || !this.trouble) return new AcquireTimeoutError(key, { server });
    return this.trouble;
  }

  /** Whether somebody has the lock, or it is on its way to a waiter: a try would be in vain. Otherwise only a try can tell. */
  get isContended(): boolean {
    return this.state === 'trying' || this.delivery.isBusy || this.isWaiting;
  }

  private get isWaiting(): boolean {
    const refusedBy = this.pool.clock.now() - PROMPT_MS;
    return this.places.some((place) => place.askedAt <= refusedBy);
  }

  /** A grant that a try from elsewhere brought. */
  give(grant: LaneGrant, askedMs: Ms): void {
    this.delivery.serve(grant, askedMs);
    this.adjust();
  }

  /** A grant that a try brought; `askedMs` is the lease it was made with. */
  offer(grant: LaneGrant, askedMs: Ms): void {
    this.delivery.serve(grant, askedMs);
    this.tried();
  }

  /** The try that was on its way for the key queue has been answered, or never will be. */
  tried(): void {
    if (this.state === 'trying') this.to('tried');
    this.adjust();
  }

  /** There may be a lane for a place. */
  retry(): void {
    this.adjust();
  }

  /** The server is there again: what was wrong before may be over. */
  resume(): void {
    this.recovered();
    this.adjust();
  }

  /** Ends it with all its waiters. */
  fail(error: LockError): void {
    for (const waiter of this.waiters) {
      this.waiters.remove(waiter);
      waiter.failed(error);
    }
    this.delivery.evict(error);
    this.adjust();
  }

  /** Alarm */
  ring(): void {
    this.adjust();
    if (this.state === 'polling') this.poll.try();
  }

  /** PlaceHost, PollHost */
  nextRequest(): { leaseMs: Ms; waitMs: Ms } {
    const left = this.waiters.lastDeadline() - this.pool.clock.now();
    const waitMs = Math.min(Math.max(left, 1), MAX_SECONDS * 1000);
    return { leaseMs: placeLease(this.waiters.head!, this.pool), waitMs };
  }

  /** PlaceHost */
  asked(): void {
    let asking = 0;
    for (const place of this.places) if (place.state === 'asking') asking++;
    this.waiters.announce(asking);
  }

  /**
   * PlaceHost. The next place is opened at the end of the turn: what is written now delays the body of the new holder, and those
   * who wait for its end.
   */
  granted(place: Place, grant: LaneGrant, askedMs: Ms): void {
    this.recovered();
    this.remove(place);
    this.delivery.serve(grant, askedMs);
    if (this.waiters.size > this.places.length) this.pool.clock.endOfTurn(this.adjustLater);
    else this.adjust();
  }

  /** PlaceHost. It goes on at the end of the queue, so it is the last of the places from now on. */
  timedOut(place: Place): void {
    this.recovered();
    this.remove(place);
    this.places.push(place);
    this.adjust();
    if (place.state === 'answered') place.ask();
  }

  /** PlaceHost. No lease is so short: a server that says so at once is asked again after a pause. */
  expired(place: Place, askedAt: Ms): void {
    if (this.pool.clock.now() - askedAt >= PROMPT_MS) return this.timedOut(place);
    this.remove(place);
    place.cancel();
    this.pause();
  }

  /** PlaceHost */
  failed(place: Place, why: LockError | Reply): void {
    this.remove(place);
    // It was a probe: what is sure are the connections that there are.
    if (this.pool.shortage !== undefined && this.places.length === 0 && this.state === 'queued') {
      this.to('failed');
      this.startPolling();
    }
    const error = why instanceof LockError ? why : replyError(why, 'acquire', this.resource.key, this.pool.server);
    this.onTransientError(error);
  }

  /** DeliveryHost */
  delivered(): void {
    this.adjust();
  }

  /** PollHost. The next look at what can be done. */
  again(): void {
    this.setAlarm(this.pauses.next());
  }

  /** PollHost. Permanent trouble is everybody's; what is transient is told at the deadline. */
  onTransientError(error: LockError): void {
    if (!error.isTransient) return this.fail(error);
    this.trouble = explained(error, this.pool.server);
    this.pause(error instanceof ProtocolError);
  }

  /** DeliveryHost. The server is well: there is nothing to tell. */
  lapsed(): void {
    this.pause();
  }

  /** The next places are taken a little later. */
  private pause(afterDoubt = false): void {
    if (this.state === 'over') return;
    const pause = this.pauses.next(afterDoubt);
    this.resumeAt = this.pool.clock.now() + pause;
    this.setAlarm(pause);
    if (this.places.length === 0 && this.state === 'queued') this.to('failed');
    this.adjust();
  }

  private recovered(): void {
    this.trouble = undefined;
    this.pauses.reset();
    this.resumeAt = -Infinity;
  }

  private readonly adjustLater = (): void => this.adjust();

  /** As many places as waiters, within the bounds; no waiter, no key queue. */
  private adjust(): void {
    while (this.places.length > this.waiters.size) this.places.pop()!.cancel();
    if (this.state === 'over' || this.state === 'trying') return this.endIfEmpty();
    const wanted = Math.min(this.waiters.size, this.pool.config.waitersPerKey);
    const { clock, isLinked } = this.pool;
    if (isLinked && this.places.length < wanted && clock.now() >= this.resumeAt) this.open(wanted);
    this.endIfEmpty();
  }

  private open(wanted: number): void {
    while (this.places.length < wanted) {
      const place = new Place(this, this.pool);
      const isFirst = this.places.push(place) === 1;
      let opened: boolean;
      try {
        opened = place.open(isFirst ? 'head' : 'extra');
      } catch (error) {
        this.remove(place);
        return this.fail(error as LockError);
      }
      if (opened) this.to('placed');
      else {
        this.remove(place);
        // Those behind have been told when they joined.
        this.waiters.announce(wanted);
        if (isFirst) this.startPolling();
        return;
      }
    }
  }

  private startPolling(): void {
    const isNew = this.state !== 'polling';
    this.to('denied');
    if (isNew) this.poll.try();
  }

  private endIfEmpty(): void {
    if (this.waiters.size > 0 || this.delivery.isBusy || this.state === 'over') return;
    this.to('emptied');
    this.pool.alarms.cancel(this);
    this.poll.stop();
  }

  private remove(place: Place): void {
    const at = this.places.indexOf(place);
    if (at >= 0) this.places.splice(at, 1);
  }

  private setAlarm(delay: Ms): void {
    const { alarms, clock } = this.pool;
    if (this.state !== 'over') alarms.set(this, clock.now() + Math.max(delay, 1));
  }

  private to(event: KeyQueueEvent): void {
    const from = this.state;
    this.state = nextKeyQueueState(from, event);
    if (this.state !== from) this.keeper.changed(this, from);
  }
}
