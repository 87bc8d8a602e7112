import { type Linked, LinkedList } from '../../common/linked-list.js';
import type { Ms } from '../../common/system.js';

/** A caller in the queue of a key in this process. */
export interface Waiting<W> extends Linked<W> {
  /** May be Infinity. */
  readonly deadline: Ms;
  /** Set by the queue: the order of arrival. */
  arrival: number;
  /** It has a place in a queue, or need not wait for one. May be called more than once. */
  queued(): void;
}

/** Local waiters in order of arrival, with the latest of their deadlines. */
export class LocalWaiters<W extends Waiting<W>> {
  private readonly list = new LinkedList<W>();
  /** The latest deadline; undefined if it has to be computed. */
  private latest: Ms | undefined = -Infinity;
  private arrivals = 0;

  get size(): number {
    return this.list.size;
  }

  get head(): W | undefined {
    return this.list.head;
  }

  get last(): W | undefined {
    return this.list.tail;
  }

  push(waiter: W): void {
    waiter.arrival = ++this.arrivals;
    this.list.push(waiter);
    if (this.latest !== undefined) this.latest = Math.max(this.latest, waiter.deadline);
  }

  /** Puts the waiter back by its order of arrival: ahead of all but earlier waiters that were put back too. */
  putBack(waiter: W): void {
    let next = this.list.head;
    while (next && next.arrival < waiter.arrival) next = next.next;
    this.list.insertBefore(next, waiter);
    if (this.latest !== undefined) this.latest = Math.max(this.latest, waiter.deadline);
  }

  remove(waiter: W): void {
    this.list.remove(waiter);
    if (waiter.deadline === this.latest) this.latest = undefined;
  }

  /** The latest deadline of all waiters. */
  lastDeadline(): Ms {
    if (this.latest === undefined) {
      this.latest = -Infinity;
      for (const { deadline } of this.list) this.latest = Math.max(this.latest, deadline);
    }
    return this.latest;
  }

  /** Tells the first `count` waiters that they are queued. */
  announce(count: number): void {
    for (const waiter of this.list) {
      if (count-- <= 0) return;
      waiter.queued();
    }
  }

  [Symbol.iterator](): Iterator<W> {
    return this.list[Symbol.iterator]();
  }
}
