import { ExpiryHeap, type Expiring } from '../common/expiry-heap.js';
import type { Ms } from '../common/system.js';
import { KeyMap } from './key-map.js';

/** What a set of holders knows of each member. */
export interface Holder extends Expiring {
  readonly token: string;
  /** The lease has expired but has not been taken away yet. */
  lapsed: boolean;
}

/** The holders of one resource, by token and by the end of their leases. */
export interface HolderSet<Hold extends Holder = Holder> {
  readonly size: number;
  get(token: string): Hold | undefined;
  add(hold: Hold): void;
  remove(hold: Hold): void;
  /** Sets the end of a lease that has not lapsed. */
  extend(hold: Hold, due: Ms): void;
  /** The earliest end of a lease that has not lapsed; Infinity if there is none. */
  readonly nextDue: Ms;
  /** Marks up to `most` leases that are due at `seen` as lapsed; returns how many. */
  lapse(seen: Ms, most: number): number;
  readonly hasLapsed: boolean;
  /** Up to `most` of those that have lapsed. */
  lapsed(most: number): Hold[];
  [Symbol.iterator](): Iterator<Hold>;
}

/** A lock has at most one holder, so it needs neither map nor heap. */
export class OneHolder<Hold extends Holder = Holder> implements HolderSet<Hold> {
  private hold: Hold | undefined = undefined;

  get size(): number {
    return this.hold ? 1 : 0;
  }

  get(token: string): Hold | undefined {
    return this.hold?.token === token ? this.hold : undefined;
  }

  add(hold: Hold): void {
    this.hold = hold;
  }

  remove(_hold: Hold): void {
    this.hold = undefined;
  }

  extend(hold: Hold, due: Ms): void {
    hold.due = due;
  }

  get nextDue(): Ms {
    return this.hold && !this.hold.lapsed ? this.hold.due : Infinity;
  }

  lapse(seen: Ms): number {
    if (this.nextDue > seen) return 0;
    this.hold!.lapsed = true;
    return 1;
  }

  get hasLapsed(): boolean {
    return this.hold !== undefined && this.hold.lapsed;
  }

  lapsed(): Hold[] {
    return this.hasLapsed ? [this.hold!] : [];
  }

  *[Symbol.iterator](): Iterator<Hold> {
    if (this.hold) yield this.hold;
  }
}

/** The holders of a semaphore. The limit may be large, so no operation here visits all of them. */
export class ManyHolders<Hold extends Holder = Holder> implements HolderSet<Hold> {
  private readonly byToken = new KeyMap<Hold>();
  private readonly leases = new ExpiryHeap<Hold>();
  private readonly overdue = new ExpiryHeap<Hold>();

  get size(): number {
    return this.byToken.size;
  }

  get(token: string): Hold | undefined {
    return this.byToken.get(token);
  }

  add(hold: Hold): void {
    this.byToken.add(hold.token, hold);
    this.leases.set(hold, hold.due);
  }

  remove(hold: Hold): void {
    this.byToken.delete(hold.token);
    if (hold.lapsed) this.overdue.remove(hold);
    else this.leases.remove(hold);
  }

  extend(hold: Hold, due: Ms): void {
    this.leases.set(hold, due);
  }

  get nextDue(): Ms {
    return this.leases.firstDue;
  }

  lapse(seen: Ms, most: number): number {
    let lapsed = 0;
    for (; lapsed < most && this.leases.firstDue <= seen; lapsed++) {
      const hold = this.leases.first!;
      this.leases.remove(hold);
      hold.lapsed = true;
      this.overdue.set(hold, hold.due);
    }
    return lapsed;
  }

  get hasLapsed(): boolean {
    return this.overdue.size > 0;
  }

  lapsed(most: number): Hold[] {
    return this.overdue.some(most);
  }

  [Symbol.iterator](): Iterator<Hold> {
    return this.byToken.values();
  }
}
