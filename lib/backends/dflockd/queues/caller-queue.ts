import { LinkedList } from '../../../common/linked-list.js';
import type { Ms } from '../../../common/system.js';
import type { Caller } from './caller.js';

/** Callers in the order of their arrival, and how patient they are. */
export class CallerQueue {
  private readonly list = new LinkedList<Caller>();
  /** The latest of all deadlines; undefined when it has to be looked for. */
  private latest: Ms | undefined = -Infinity;
  private arrivals = 0;

  get size(): number {
    return this.list.size;
  }

  get head(): Caller | undefined {
    return this.list.head;
  }

  push(caller: Caller): void {
    caller.arrival = ++this.arrivals;
    this.list.push(caller);
    if (this.latest !== undefined) this.latest = Math.max(this.latest, caller.deadline);
  }

  /** Where it was: before all others, except those that were before it and have been put back, too. */
  putBack(caller: Caller): void {
    let next = this.list.head;
    while (next && next.arrival < caller.arrival) next = next.next;
    this.list.insertBefore(next, caller);
    if (this.latest !== undefined) this.latest = Math.max(this.latest, caller.deadline);
  }

  remove(caller: Caller): void {
    this.list.remove(caller);
    if (caller.deadline === this.latest) this.latest = undefined;
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
    for (const caller of this.list) {
      if (count-- <= 0) return;
      caller.queued();
    }
  }

  [Symbol.iterator](): Iterator<Caller> {
    return this.list[Symbol.iterator]();
  }
}
