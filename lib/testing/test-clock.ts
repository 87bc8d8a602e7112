import {
  type Clock,
  type HostTimers,
  hostTimers,
  LONGEST_TIMER,
  type Ms,
  nextTurn,
  systemClock,
  type Timer,
} from '../common/system.js';

interface TestTimer {
  readonly due: Ms;
  readonly fn: () => void;
  readonly keepAlive: boolean;
}

/** Larger than the rounding error of a sum. */
const ROUNDING_MS: Ms = 1e-6;
/** Number of consecutive timers that may be run one by one without any use of a lock. */
const MAX_IDLE_STEPS = 100;

/**
 * A clock that follows the host's time and can skip ahead. If a test framework has installed fake timers, these drive
 * it; that is detected whenever the clock is read or set.
 *
 * However the host's time moves, this clock goes from timer to timer, fires each at its exact time, and lets promises
 * settle in between. So a lock is renewed in time even if a test skips an hour in one step.
 */
export class TestClock implements Clock {
  private host: HostTimers = hostTimers();
  private hostTime: Ms = this.host.now();
  /** The difference to the host's time. */
  private offset: Ms = 0;
  private time: Ms = this.hostTime;
  /** Time skipped by `advance`. */
  private skipped: Ms = 0;
  /** The difference of the wall clock to this time, if `Date` does not follow the timers. */
  private wallLead: Ms = systemClock.wall() - this.time;
  /** In the order in which they were set, which is the firing order of timers due at the same time. */
  private readonly timers = new Set<TestTimer>();
  /** The only host timer, set for the earliest of these. */
  private handle: unknown;
  private isWalking = false;
  private walk: Promise<void> = Promise.resolve();
  private isBehind = false;
  private idleSteps = 0;
  private countsStep = false;

  /** Stands still while timers are due. */
  now(): Ms {
    this.follow();
    if (this.isWalking) return this.time;
    this.idleSteps = 0;
    const due = this.first()?.due ?? Infinity;
    const target = this.target();
    this.time = Math.max(this.time, Math.min(due, target));
    if (due <= target) this.catchUp();
    else if (due < Infinity && this.handle === undefined) this.arm();
    return this.time;
  }

  setTimer(fn: () => void, delay: Ms, keepAlive = false): Timer {
    const timer: TestTimer = { due: this.now() + Math.max(delay, 0), fn, keepAlive };
    this.timers.add(timer);
    if (this.isWalking) return timer;
    if (timer.due <= this.time) this.catchUp();
    // Always set it anew, since test frameworks can remove all timers.
    this.arm();
    return timer;
  }

  clearTimer(timer: Timer): void {
    if (this.timers.delete(timer as TestTimer) && !this.isWalking) this.arm();
  }

  /** There are no sockets with unread input. */
  afterPoll(fn: () => void): void {
    void Promise.resolve().then(fn);
  }

  endOfTurn(fn: () => void): void {
    void Promise.resolve().then(fn);
  }

  /** This machine is never suspended. */
  uptime(): Ms {
    return this.now();
  }

  /** Follows `now`, so it never jumps. */
  wall(): Ms {
    const now = this.now();
    if (!this.host.movesDate) return now + this.wallLead;
    return systemClock.wall() + now - this.target() + this.skipped;
  }

  /** Skips the given time, in milliseconds. */
  async advance(ms: Ms): Promise<void> {
    await nextTurn();
    this.now();
    this.offset += ms;
    this.skipped += ms;
    do await this.walkOn();
    while ((this.first()?.due ?? Infinity) <= this.target());
    await nextTurn();
  }

  /** Clears all timers. */
  stop(): void {
    this.timers.clear();
    this.arm();
  }

  /** The time that will be reached when everything due has fired. */
  private target(): Ms {
    const hostTime = this.host.now();
    // Fake time starts over, without timers, when it is installed again.
    if (hostTime < this.hostTime) {
      this.offset += this.hostTime - hostTime;
      this.handle = undefined;
    }
    this.hostTime = hostTime;
    return hostTime + this.offset;
  }

  private first(onlyAlive = false): TestTimer | undefined {
    let first: TestTimer | undefined;
    for (const timer of this.timers) {
      if ((timer.keepAlive || !onlyAlive) && (!first || timer.due < first.due)) first = timer;
    }
    return first;
  }

  /** Fires due timers in order of time. */
  private walkOn(): Promise<void> {
    if (!this.isWalking) this.walk = this.stepByStep();
    return this.walk;
  }

  private async stepByStep(): Promise<void> {
    this.isWalking = true;
    try {
      for (let first = this.first(); first && first.due <= this.target(); first = this.first()) {
        this.time = Math.max(this.time, first.due);
        for (const timer of [...this.timers]) {
          if (timer.due <= this.time && this.timers.delete(timer)) timer.fn();
        }
        await nextTurn();
        // After the last test the host may be gone.
        if (this.timers.size > 0) this.follow();
      }
      this.time = Math.max(this.time, this.target());
    } finally {
      this.isWalking = false;
      if (this.countsStep && !this.host.isAdvancing()) this.idleSteps++;
      this.countsStep = false;
      this.arm();
    }
  }

  /** Time has passed without a host timer firing: fires what is due in the next turn. */
  private catchUp(): void {
    if (this.isBehind) return;
    this.isBehind = true;
    void nextTurn().then(() => {
      this.isBehind = false;
      return this.walkOn();
    });
  }

  /**
   * A framework that runs timers until none are left would run the renewals of a held lock forever. After a number of
   * timers, only waiting callers are woken; the rest fires when a lock is next used.
   */
  private arm(): void {
    const { host } = this;
    const target = this.target();
    if (this.handle !== undefined) host.clearTimeout(this.handle);
    this.handle = undefined;
    const first = this.first(this.idleSteps >= MAX_IDLE_STEPS);
    if (!first) return;
    // Node truncates delays and fires up to a millisecond early.
    const whole = Math.ceil(first.due - target - ROUNDING_MS) + (host.isFake ? 0 : 1);
    const delay = Math.min(Math.max(whole, 0), LONGEST_TIMER);
    const until = Math.min(first.due, target + delay);
    this.handle = host.setTimeout(() => this.rang(host, until), delay);
    const isAwaited = [...this.timers].some(({ keepAlive }) => keepAlive);
    if (!isAwaited) (this.handle as Partial<NodeJS.Timeout> | undefined)?.unref?.();
  }

  private rang(host: HostTimers, until: Ms): void {
    if (host !== this.host) return;
    this.handle = undefined;
    // Fake timers are never early, even if no fake clock reports the time.
    if (host.isFake) this.offset += Math.max(0, until - this.target());
    this.countsStep = true;
    void this.walkOn();
  }

  /** Fake time counts from its installation on; when it is removed, no time is known to have passed. */
  private follow(): void {
    const host = hostTimers();
    if (host === this.host) return;
    // Fake timers vanish with the fakes; with node:test, clearing one would remove another timer.
    if (!this.host.isFake) this.host.clearTimeout(this.handle);
    this.handle = undefined;
    this.host = host;
    this.hostTime = host.now();
    this.offset = Math.ceil(this.time) - (host.isFake ? host.origin : this.hostTime);
    this.wallLead = systemClock.wall() - this.time;
    this.idleSteps = 0;
    if (!this.isWalking) this.arm();
  }
}
