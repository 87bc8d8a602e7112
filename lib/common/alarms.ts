import { type Expiring, ExpiryHeap } from './expiry-heap.js';
import type { Clock, Ms, Timer } from './system.js';

/** Something that is to happen at a time which moves. */
export interface Alarm extends Expiring {
  /** Must not throw. May set alarms, itself included, but not for now or earlier. */
  ring(now: Ms): void;
}

export const newAlarm = (ring: (now: Ms) => void): Alarm => ({ due: Infinity, slot: -1, ring });

/** Any number of alarms on one timer of the clock. Setting and cancelling cost no timer in the usual case. */
export class Alarms {
  private readonly heap = new ExpiryHeap<Alarm>();
  private timer: Timer | undefined;
  private armedFor: Ms = Infinity;
  private ringing = false;

  /** @param keepAlive whether alarms that are set keep the process alive */
  constructor(
    private readonly clock: Clock,
    private readonly keepAlive = false,
  ) {}

  get size(): number {
    return this.heap.size;
  }

  /** Sets the alarm, or moves it if it is set already. */
  set(alarm: Alarm, due: Ms): void {
    if (due === Infinity) return this.cancel(alarm);
    this.heap.set(alarm, due);
    this.arm();
  }

  cancel(alarm: Alarm): void {
    this.heap.remove(alarm);
    // Otherwise the timer stays: one idle ring is cheaper than a timer for each alarm.
    if (this.keepAlive && this.heap.size === 0) this.disarm();
  }

  /** Forgets all alarms. */
  clear(): void {
    for (let first = this.heap.first; first; first = this.heap.first) this.heap.remove(first);
    this.disarm();
  }

  private arm(): void {
    const due = this.heap.firstDue;
    if (this.ringing || due >= this.armedFor) return;
    if (this.timer) this.clock.clearTimer(this.timer);
    this.armedFor = due;
    this.timer = this.clock.setTimer(this.ring, due - this.clock.now(), this.keepAlive);
  }

  private disarm(): void {
    if (this.timer) this.clock.clearTimer(this.timer);
    this.timer = undefined;
    this.armedFor = Infinity;
  }

  private readonly ring = (): void => {
    this.timer = undefined;
    this.armedFor = Infinity;
    this.ringing = true;
    const now = this.clock.now();
    try {
      for (let first = this.heap.first; first && first.due <= now; first = this.heap.first) {
        this.heap.remove(first);
        first.ring(now);
      }
    } finally {
      // Where what one has thrown does not end the process, the others ring all the same: holders wait for them.
      this.ringing = false;
      this.arm();
    }
  };
}
