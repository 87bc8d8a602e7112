import { type Expiring, ExpiryHeap } from './expiry-heap.js';
import type { Clock, Ms, Timer } from './system.js';

/** A callback that is due at a time, which may be moved. */
export interface Alarm extends Expiring {
  /** Must not throw. May set alarms, including this one, but only for a later time. */
  ring(now: Ms): void;
}

export const newAlarm = (ring: (now: Ms) => void): Alarm => ({ due: Infinity, slot: -1, ring });

/** Any number of alarms on one timer of the clock. Setting or cancelling an alarm usually touches no timer. */
export class Alarms {
  private readonly heap = new ExpiryHeap<Alarm>();
  private timer: Timer | undefined;
  private armedFor: Ms = Infinity;
  private ringing = false;

  /** @param keepAlive whether pending alarms keep the process alive */
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
    if (alarm.slot < 0) return;
    this.heap.remove(alarm);
    // Otherwise the timer stays: one idle ring is cheaper than a timer per alarm.
    if (this.keepAlive && this.heap.size === 0) this.disarm();
  }

  /** Cancels all alarms. */
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
      // If an alarm throws and the process survives, the others still ring: holders depend on them.
      this.ringing = false;
      this.arm();
    }
  };
}
