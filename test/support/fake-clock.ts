import type { Clock, Entropy, Ms, Timer } from '../../lib/common/system.js';

interface FakeTimer {
  due: Ms;
  /** Timers of the same time run in the order in which they were set. */
  order: number;
  fn: () => void;
  keepAlive: boolean;
}

/** So often in a row timers may be set for now; whoever does it more often would never let time pass. */
const MAX_STEPS_AT_ONCE = 1000;

/** A clock whose time moves only when told to. */
export class FakeClock implements Clock {
  /** Moves `wall` apart from `now`: a wall clock that was set. */
  wallOffset: Ms;
  /** Moves `uptime` apart from `now`: a machine that slept, during which the monotonic clock stood still. */
  uptimeOffset: Ms;

  private time: Ms;
  private order = 0;
  private stepsAtOnce = 0;
  private readonly timers = new Set<FakeTimer>();
  private polls: (() => void)[] = [];

  constructor({ now = 0, wall = Date.UTC(2026, 0, 1), uptime = 0 }: { now?: Ms; wall?: Ms; uptime?: Ms } = {}) {
    this.time = now;
    this.wallOffset = wall - now;
    this.uptimeOffset = uptime - now;
  }

  now(): Ms {
    return this.time;
  }

  wall(): Ms {
    return this.time + this.wallOffset;
  }

  uptime(): Ms {
    return this.time + this.uptimeOffset;
  }

  setTimer(fn: () => void, delay: Ms, keepAlive = false): Timer {
    const timer: FakeTimer = { due: this.time + Math.max(delay, 0), order: this.order++, fn, keepAlive };
    this.timers.add(timer);
    return timer;
  }

  clearTimer(timer: Timer): void {
    this.timers.delete(timer as FakeTimer);
  }

  afterPoll(fn: () => void): void {
    this.polls.push(fn);
  }

  /** Turns are those of the host: they take no time. */
  endOfTurn(fn: () => void): void {
    setImmediate(fn);
  }

  /** How many timers are armed. */
  get pendingTimers(): number {
    return this.timers.size;
  }

  /** Whether a timer keeps the process alive. */
  get keepsAlive(): boolean {
    return [...this.timers].some(({ keepAlive }) => keepAlive);
  }

  /** When the next timer is due; Infinity when there is none. */
  get nextDue(): Ms {
    return this.earliest()?.due ?? Infinity;
  }

  /**
   * Lets time pass, step by step: time moves to the next timer, the timers of that time run, then what was handed to
   * `afterPoll`.
   */
  advance(ms: Ms): void {
    const target = this.time + ms;
    this.stepsAtOnce = 0;
    do this.step(target);
    while (!this.settledAt(target));
  }

  /** As `advance`, and lets promises settle before the first step and after every one. */
  async advanceAsync(ms: Ms): Promise<void> {
    const target = this.time + ms;
    this.stepsAtOnce = 0;
    await settlePromises();
    do {
      this.step(target);
      await settlePromises();
    } while (!this.settledAt(target));
  }

  /** The process stalls: time passes and nothing runs; overdue timers run, late, at the next `advance`. */
  stall(ms: Ms): void {
    this.time += ms;
  }

  private step(target: Ms): void {
    const before = this.time;
    this.time = Math.max(before, Math.min(this.nextDue, target));
    this.stepsAtOnce = this.time > before ? 0 : this.stepsAtOnce + 1;
    if (this.stepsAtOnce > MAX_STEPS_AT_ONCE) throw new Error(`time stands still at ${this.time}`);
    const last = this.order;
    // A timer that is set meanwhile belongs to the next step, as in Node.
    for (let due = this.earliest(last); due && due.due <= this.time; due = this.earliest(last)) {
      this.timers.delete(due);
      due.fn();
    }
    const { polls } = this;
    this.polls = [];
    for (const poll of polls) poll();
  }

  private settledAt(target: Ms): boolean {
    return this.time >= target && this.polls.length === 0 && this.nextDue > target;
  }

  private earliest(before = Infinity): FakeTimer | undefined {
    let first: FakeTimer | undefined;
    for (const timer of this.timers) {
      if (timer.order < before && (!first || timer.due < first.due)) first = timer;
    }
    return first;
  }
}

/** Lets the promise callbacks that are ready, and those that they make ready, run. */
export const settlePromises = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Read once: within jest, reading a global costs more than all the rest of a number. */
const { imul } = Math;

/** Numbers that look random and are the same for the same seed. */
export class FakeEntropy implements Entropy {
  constructor(private seed = 1) {}

  unit(): number {
    return this.next() / 2 ** 32;
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.next() & 0xff;
  }

  /** mulberry32 */
  private next(): number {
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let t = imul(this.seed ^ (this.seed >>> 15), 1 | this.seed);
    t = (t + imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
}
