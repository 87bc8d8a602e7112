import { type Expiring, ExpiryHeap } from '../common/expiry-heap.js';
import type { Clock, Ms, Timer } from '../common/system.js';

/** Something that must not go on for longer than it says. */
export interface Bounded extends Expiring {
  /** Its time may be over: acts if it is, and says when to look again (Infinity: not before `atMost` is called). */
  expire(seen: Ms, now: Ms): Ms;
}

/**
 * The deadlines of all sessions on one timer. They are lazy: a session that lives on does not move its entry with every
 * line; it is looked at when the old entry is due. Before anything is judged, the sockets are read once more.
 */
export class Deadlines {
  private readonly heap = new ExpiryHeap<Bounded>();
  private timer: Timer | undefined;
  private armedFor: Ms = Infinity;

  /** @param settled runs after sessions were judged */
  constructor(
    private readonly clock: Clock,
    private readonly settled: () => void,
  ) {}

  /** Looks at the session at `due` or earlier. */
  atMost(session: Bounded, due: Ms): void {
    if (session.slot >= 0 && session.due <= due) return;
    this.heap.set(session, due);
    if (due < this.armedFor) this.arm();
  }

  remove(session: Bounded): void {
    this.heap.remove(session);
    if (this.heap.size === 0) this.disarm();
  }

  private arm(): void {
    this.disarm();
    const { firstDue } = this.heap;
    if (firstDue === Infinity) return;
    this.armedFor = firstDue;
    this.timer = this.clock.setTimer(() => {
      this.timer = undefined;
      const seen = this.clock.now();
      this.clock.afterPoll(() => this.judge(seen));
    }, firstDue - this.clock.now());
  }

  private disarm(): void {
    if (this.timer) this.clock.clearTimer(this.timer);
    this.timer = undefined;
    this.armedFor = Infinity;
  }

  private judge(seen: Ms): void {
    const now = this.clock.now();
    while (this.heap.firstDue <= seen) {
      const session = this.heap.first!;
      const due = session.expire(seen, now);
      if (due === Infinity) this.heap.remove(session);
      else if (session.slot >= 0) this.heap.set(session, Math.max(due, seen + 1));
    }
    this.settled();
    this.arm();
  }
}
