import { LinkedList } from '../../../common/linked-list.js';
import type { Ms } from '../../../common/system.js';
import type { LocalWaiter } from './local-waiter.js';

/** Local waiters in the order of their arrival, and how patient they are. */
export class LocalWaiters {
  private readonly list = new LinkedList<LocalWaiter>();
  /** The latest of all deadlines; undefined when it has to be looked for. */
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

  /** Where it was: before all others, except those that were before it and have been put back, too. */
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

  /** The deadline of the most patient one. */
  lastDeadline(): Ms {
    if (this.latest === undefined) {
      this.latest = -Infinity;
      for (const { deadline } of this.list) this.latest = Math.max(this.latest, deadline);
    }
    return this.latest;
  }

  /** Tells the first `count` that they are queued. */
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
