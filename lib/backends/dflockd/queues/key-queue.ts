import type { Alarm } from '../../../common/alarms.js';
import { AcquireTimeoutError, LockError, ProtocolError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import { MAX_SECONDS } from '../../../protocol/limits.js';
import type { Reply } from '../../../protocol/messages.js';
import { LocalWaiters } from '../../queues/local-waiters.js';
import { explained } from '../lanes/lane-errors.js';
import type { LocalWaiter, LaneGrant, Resource } from './local-waiter.js';
import { Delivery, type DeliveryHost } from './delivery.js';
import type { QueuePool } from './queue-pool.js';
import { type KeyQueueEvent, type KeyQueueState, nextKeyQueueState } from './key-queue-state.js';
import { exhausted } from './pool-exhausted.js';
import { Place, type PlaceHost } from './place.js';
import { placeLease } from './place-lease.js';
import { Poll, type PollHost } from './poll.js';
import { RetryPauses } from './retry-pauses.js';
import { replyError } from '../../../protocol/reply-error.js';

/** Is told when a key queue changes its state. */
export interface KeyQueueKeeper {
  changed(queue: KeyQueue, from: KeyQueueState): void;
}

/** A refusal comes at once: a request outstanding for longer than this is in the server's queue. */
const PROMPT_MS: Ms = 25;

/**
 * The acquires of this process that wait for one key, first in, first out. Places in the server's queue belong to the
 * key queue: a grant, whichever lane brings it, goes to the waiter at the head.
 */
export class KeyQueue implements Alarm, PlaceHost, DeliveryHost, PollHost {
  due: Ms = Infinity;
  slot = -1;
  /** DeliveryHost */
  readonly waiters = new LocalWaiters<LocalWaiter>();
  /** The longest-standing place first. */
  private readonly places: Place[] = [];
  private readonly delivery = new Delivery(this);
  private readonly pauses: RetryPauses;
  private readonly poll: Poll;
  /** No new places are taken before this time. */
  private resumeAt: Ms = -Infinity;
  /** Why there is no place. */
  private trouble: LockError | undefined;

  /** @param state `trying` if a try is on its way for the first waiter that joins */
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

  /** Adds the waiter at the end. */
  join(waiter: LocalWaiter): void {
    this.waiters.push(waiter);
    this.adjust();
    // The waiter has no place of its own in the server's queue to wait for.
    if (this.waiters.size > this.pool.config.waitersPerKey || this.places.length === 0) waiter.queued();
  }

  /** Removes a waiter that stops waiting. The places stay with the key queue. */
  leave(waiter: LocalWaiter): void {
    if (waiter.handover) waiter.handover.leave();
    else this.waiters.remove(waiter);
    this.adjust();
  }

  /** The error for a waiter whose deadline has come. */
  deadlineError(key: string): LockError {
    const { server, isLinked, outage, shortage } = this.pool;
    if (!isLinked && outage) return outage;
    if (this.state === 'polling' || (shortage !== undefined && !this.isWaiting)) {
      return exhausted(this.pool, key, shortage);
    }
    if (this.isWaiting || !this.trouble) return new AcquireTimeoutError(key, { server });
    return this.trouble;
  }

  /**
   * Whether the lock is held, or on its way to a waiter, so that a try would fail. Otherwise only a try can tell.
   */
  get isContended(): boolean {
    return this.state === 'trying' || this.delivery.isBusy || this.isWaiting;
  }

  private get isWaiting(): boolean {
    const refusedBy = this.pool.clock.now() - PROMPT_MS;
    return this.places.some((place) => place.askedAt <= refusedBy);
  }

  /** Takes the grant of a try made outside this queue. */
  give(grant: LaneGrant, askedMs: Ms): void {
    this.delivery.serve(grant, askedMs);
    this.adjust();
  }

  /** Takes the grant of this queue's own try. `askedMs`: the lease it requested. */
  offer(grant: LaneGrant, askedMs: Ms): void {
    this.delivery.serve(grant, askedMs);
    this.tried();
  }

  /** The queue's try was answered, or never will be. */
  tried(): void {
    if (this.state === 'trying') this.to('tried');
    this.adjust();
  }

  /** A lane may be available for a place. */
  retry(): void {
    this.adjust();
  }

  /** The server is connected again: earlier errors may be over. */
  resume(): void {
    this.recovered();
    this.adjust();
  }

  /** Ends the queue and refuses all its waiters. */
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
   * PlaceHost. The next place is opened at the end of the turn: a write now would delay the new holder's body, and with
   * it every waiter.
   */
  granted(place: Place, grant: LaneGrant, askedMs: Ms): void {
    this.recovered();
    this.remove(place);
    this.delivery.serve(grant, askedMs);
    if (this.waiters.size > this.places.length) this.pool.clock.endOfTurn(this.adjustLater);
    else this.adjust();
  }

  /** PlaceHost. The place asks again at the end of the server's queue, so it becomes the last place. */
  timedOut(place: Place): void {
    this.recovered();
    this.remove(place);
    this.places.push(place);
    this.adjust();
    if (place.state === 'answered') place.ask();
  }

  /** PlaceHost. No lease is that short: a server that replies so at once is asked again after a pause. */
  expired(place: Place, askedAt: Ms): void {
    if (this.pool.clock.now() - askedAt >= PROMPT_MS) return this.timedOut(place);
    this.remove(place);
    place.cancel();
    this.pause();
  }

  /** PlaceHost */
  failed(place: Place, why: LockError | Reply): void {
    this.remove(place);
    // The place was a probe; only the existing connections are certain.
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

  /** PollHost. Schedules the next try. */
  again(): void {
    this.setAlarm(this.pauses.next());
  }

  /** PollHost. A permanent error fails all waiters; a transient one is reported at the deadline. */
  onTransientError(error: LockError): void {
    if (!error.isTransient) return this.fail(error);
    this.trouble = explained(error, this.pool.server);
    this.pause(error instanceof ProtocolError);
  }

  /** DeliveryHost. The server is healthy, so there is no error to report. */
  lapsed(): void {
    this.pause();
  }

  /** Delays the next places. */
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

  /** Opens as many places as there are waiters, within the limits, and ends the queue when none are left. */
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
        // Waiters further back were told when they joined.
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
