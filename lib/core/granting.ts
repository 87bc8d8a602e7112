import { ExpiryHeap } from '../common/expiry-heap.js';
import type { Ms } from '../common/system.js';
import type { LeaseExpiry } from './lease-expiry.js';
import type { EngineObserver, FreedBy, LeftBy } from './observer.js';
import { Hold, type Resource, type Waiter } from './resource.js';
import type { ResourceTable } from './resource-table.js';
import type { Session } from './session.js';
import { type EngineOptions, NO_FENCE, type OpId, type TokenSource } from './types.js';

/** Lapsed leases of one resource that are taken away at once. */
const LAPSED_AT_ONCE = 512;

/** A lock has one slot, a semaphore as many as its limit: there are never more holders. */
const hasFreeSlot = (res: Resource): boolean => res.holders.size < res.limit;

/**
 * Who gets a slot, and when (spec 4.2, 4.3): never more holders than `limit` (`hasFreeSlot`), newcomers not before waiters
 * (`isFree`), waiters first in, first out (`serve`), and no more of them than `maxWaiters` (`isQueueFull`). Knows no commands.
 */
export abstract class Granting {
  protected readonly waits = new ExpiryHeap<Waiter>();
  /** Nothing is granted any more. */
  draining = false;
  protected observer: EngineObserver | undefined;

  constructor(
    protected readonly options: EngineOptions,
    private readonly tokens: TokenSource,
    protected readonly table: ResourceTable,
    protected readonly leases: LeaseExpiry,
  ) {
    this.observer = options.observer;
  }

  /** Whether a newcomer is granted at once. Newcomers never overtake waiters (spec 4.3). */
  protected isFree(res: Resource): boolean {
    return res.queue.size === 0 && hasFreeSlot(res);
  }

  /** Whether `maxWaiters` refuses further waiters (spec 4.7). 0: never. */
  protected isQueueFull(res: Resource): boolean {
    const { maxWaiters } = this.options;
    return maxWaiters > 0 && res.queue.size >= maxWaiters;
  }

  /**
   * Undefined: there is no token, and nothing has changed.
   * @param waiter the waiter that was queued for it, if any
   */
  protected grant(res: Resource, session: Session, leaseMs: Ms, now: Ms, waiter: Waiter | undefined): Hold | undefined {
    const token = this.tokens.next();
    if (token === undefined) return undefined;
    const hold = new Hold(res, session, token, now + leaseMs);
    res.holders.add(hold);
    session.holds.push(hold);
    this.leases.track(res);
    this.table.settle(res, now);
    if (this.observer) this.tellGranted(this.observer, hold, waiter, now);
    return hold;
  }

  protected extend(hold: Hold, due: Ms): void {
    hold.res.holders.extend(hold, due);
    this.leases.track(hold.res);
    if (this.observer) this.observer.extended(hold.res.kind, hold.res.key, hold);
  }

  /** Ends the two-phase state of a hold: from now on it is an ordinary hold. */
  protected consume(session: Session, hold: Hold): void {
    session.tickets.delete(hold.res);
    hold.ticket = undefined;
  }

  /** Adds the waiter to the end of the queue. */
  protected queueUp(waiter: Waiter, now: Ms): void {
    waiter.res.queue.push(waiter);
    if (this.observer) this.tellQueued(this.observer, waiter, now);
  }

  /** Lets an operation wait until it is granted, at most until `due`. */
  protected await(waiter: Waiter, op: OpId, due: Ms): void {
    waiter.op = op;
    waiter.session.waiting.set(op, waiter);
    if (due !== Infinity) this.waits.set(waiter, due);
  }

  /** Ends the hold, for whatever reason, and passes its slot on. */
  protected free(hold: Hold, now: Ms, by: FreedBy): void {
    this.takeAway(hold, now, by);
    this.serve(hold.res, now);
  }

  /** Takes lapsed leases away, a portion of them if a semaphore has very many. */
  protected evictLapsed(res: Resource, now: Ms): void {
    for (const hold of res.holders.lapsed(LAPSED_AT_ONCE)) this.takeAway(hold, now, 'expiry');
    this.serve(res, now);
  }

  private takeAway(hold: Hold, now: Ms, by: FreedBy): void {
    const { res, session } = hold;
    res.holders.remove(hold);
    session.holds.remove(hold);
    if (hold.ticket) this.consume(session, hold);
    this.leases.track(res);
    if (this.observer) this.tellFreed(this.observer, hold, now, by);
  }

  /** The FIFO rule: free slots go to the head of the queue, and from there to the next one (spec 4.3). */
  private serve(res: Resource, now: Ms): void {
    while (!this.draining && res.queue.head && hasFreeSlot(res)) {
      const waiter = res.queue.head;
      const { session, op, ticket, leaseMs } = waiter;
      if (session.closed) {
        this.leaveQueue(waiter, now, 'disconnect');
        continue;
      }
      this.unqueue(waiter);
      const hold = this.grant(res, session, leaseMs, now, waiter);
      if (!hold) {
        this.turnAway(waiter, op, now);
      } else if (op !== undefined) {
        if (ticket) session.tickets.delete(res);
        session.sink.reply(op, { s: 'granted', token: hold.token, leaseMs });
      } else {
        // Enqueued, but no `wait` has come yet: the lease already runs (spec 4.5).
        ticket!.waiter = undefined;
        ticket!.hold = hold;
        hold.ticket = ticket;
      }
    }
    this.table.settle(res, now);
  }

  /** Removes a waiter that gets no grant; the order of the others does not change. */
  protected leaveQueue(waiter: Waiter, now: Ms, by: LeftBy): void {
    this.unqueue(waiter);
    if (waiter.ticket) waiter.session.tickets.delete(waiter.res);
    this.table.settle(waiter.res, now);
    if (this.observer) this.tellLeft(this.observer, waiter, now, by);
  }

  /** It was its turn, but nothing can be granted. To wait on would hide it. */
  private turnAway(waiter: Waiter, op: OpId | undefined, now: Ms): void {
    const { res, session } = waiter;
    if (waiter.ticket) session.tickets.delete(res);
    if (this.observer) this.tellLeft(this.observer, waiter, now, 'cancel');
    if (op !== undefined) session.sink.reply(op, NO_FENCE);
  }

  private unqueue(waiter: Waiter): void {
    waiter.res.queue.remove(waiter);
    this.waits.remove(waiter);
    if (waiter.op !== undefined) waiter.session.waiting.delete(waiter.op);
  }

  // Kept apart from the code above, which V8 inlines better while it is short.

  private tellQueued(observer: EngineObserver, waiter: Waiter, now: Ms): void {
    waiter.since = now;
    observer.queued(waiter.res.kind, waiter.res.key, waiter.res.queue.size, waiter);
  }

  private tellGranted(observer: EngineObserver, hold: Hold, waiter: Waiter | undefined, now: Ms): void {
    hold.since = now;
    observer.granted(hold.res.kind, hold.res.key, waiter ? now - waiter.since : 0, hold, waiter);
  }

  private tellFreed(observer: EngineObserver, hold: Hold, now: Ms, by: FreedBy): void {
    observer.freed(hold.res.kind, hold.res.key, now - hold.since, by, hold);
  }

  private tellLeft(observer: EngineObserver, waiter: Waiter, now: Ms, by: LeftBy): void {
    observer.left(waiter.res.kind, waiter.res.key, now - waiter.since, by, waiter);
  }
}
