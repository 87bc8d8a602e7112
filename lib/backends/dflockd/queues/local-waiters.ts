import { LinkedList } from '../../../common/linked-list.js';
import type { Ms } from '../../../common/system.js';
import type { LocalWaiter } from './local-waiter.js';

/** Local waiters in order of arrival, with the latest of their deadlines. */
export class LocalWaiters {
  private readonly list = new LinkedList<LocalWaiter>();
  /** The latest deadline; undefined if it has to be computed. */
  private latest: Ms | undefined = -Infinity;
  private arrivals = 0;

  get size(): number {
    return this.list.size;
  }

  get head(): LocalWaiter | undefined {
    return this.list.head;
  }

  push(waiter: LocalWaiter): void {
    waiter.arrival = ++this.arrivals;
    this.list.push(waiter);
    if (this.latest !== undefined) this.latest = Math.max(this.latest, waiter.deadline);
  }

  /** Puts the waiter back by its order of arrival: ahead of all but earlier waiters that were put back too. */
  putBack(waiter: LocalWaiter): void {
    let next = this.list.head;
    while (next && next.arrival < waiter.arrival) next = next.next;
    this.list.insertBefore(next, waiter);
    if (this.latest !== undefined) this.latest = Math.max(this.latest, waiter.deadline);
  }

  remove(waiter: LocalWaiter): void {
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

  [Symbol.iterator](): Iterator<LocalWaiter> {
    return this.list[Symbol.iterator]();
  }
}
