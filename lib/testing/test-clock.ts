import {
  type Clock,
  type HostTiming,
  hostNow,
  hostTiming,
  isReplaced,
  type Ms,
  nextTurn,
  systemClock,
  type Timer,
} from '../common/system.js';

interface TestTimer {
  readonly due: Ms;
  /** Timers of the same time fire in the order in which they were set. */
  readonly order: number;
  readonly fn: () => void;
  readonly keepAlive: boolean;
  handle: NodeJS.Timeout | undefined;
}

/**
 * Time that runs as the host's does and can be skipped. Where a test framework has put fake timers in the place of the
 * host's, these drive it; that is noticed whenever the clock is asked for anything.
 */
export class TestClock implements Clock {
  private host: HostTiming = hostTiming();
  /** What to add to the host's time. */
  private ahead: Ms = 0;
  private last: Ms = 0;
  private order = 0;
  private readonly timers = new Set<TestTimer>();
  private readonly realNow = this.host.now;

  now(): Ms {
    if (isReplaced(this.host)) this.changeHost();
    this.last = Math.max(this.last, hostNow(this.host) + this.ahead);
    return this.last;
  }

  setTimer(fn: () => void, delay: Ms, keepAlive = false): Timer {
    const timer = { due: this.now() + Math.max(delay, 0), order: this.order++, fn, keepAlive, handle: undefined };
    this.timers.add(timer);
    this.arm(timer);
    return timer;
  }

  clearTimer(timer: Timer): void {
    this.disarm(timer as TestTimer);
    this.timers.delete(timer as TestTimer);
  }

  /** There are no sockets whose input could be waiting. */
  afterPoll(fn: () => void): void {
    void Promise.resolve().then(fn);
  }

  endOfTurn(fn: () => void): void {
    void Promise.resolve().then(fn);
  }

  /** This machine never sleeps. */
  uptime(): Ms {
    return this.now();
  }

  wall(): Ms {
    return systemClock.wall();
  }

  /** Skips so much time: timers that are due meanwhile fire in their order, and promises settle after each. */
  async advance(ms: Ms): Promise<void> {
    const target = this.now() + ms;
    await nextTurn();
    for (let next = this.earliest(); next && next.due <= target; next = this.earliest()) {
      this.skipTo(next.due);
      this.fire(next);
      await nextTurn();
    }
    this.skipTo(target);
    for (const timer of this.timers) this.arm(timer);
    await nextTurn();
  }

  private skipTo(time: Ms): void {
    this.ahead += Math.max(0, time - this.now());
  }

  private earliest(): TestTimer | undefined {
    let first: TestTimer | undefined;
    for (const timer of this.timers) {
      if (!first || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) first = timer;
    }
    return first;
  }

  private arm(timer: TestTimer): void {
    this.disarm(timer);
    // Node truncates, and fires early by up to a millisecond.
    const delay = Math.min(Math.ceil(timer.due - this.last) + 1, 2 ** 31 - 1);
    const handle = this.host.setTimeout(() => this.rang(timer), Math.max(delay, 0));
    timer.handle = timer.keepAlive ? handle : handle.unref();
  }

  private disarm(timer: TestTimer): void {
    if (timer.handle) this.host.clearTimeout(timer.handle);
    timer.handle = undefined;
  }

  private rang(timer: TestTimer): void {
    if (!this.timers.has(timer)) return;
    if (this.now() < timer.due) this.arm(timer);
    else this.fire(timer);
  }

  private fire(timer: TestTimer): void {
    this.clearTimer(timer);
    timer.fn();
  }

  /** Fake time begins at 0 when it is installed, and all of it counts; on the way back none is known to have passed. */
  private changeHost(): void {
    for (const timer of this.timers) this.disarm(timer);
    this.host = hostTiming();
    this.ahead = this.host.now === this.realNow ? this.last - hostNow(this.host) : this.last;
    for (const timer of this.timers) this.arm(timer);
  }
}
