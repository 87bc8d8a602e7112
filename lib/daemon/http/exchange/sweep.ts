import type { Clock, Ms, Timer } from '../../../common/system.js';
import type { Backlog } from '../../../core/driver.js';
import type { TurnLimiter } from '../../fairness/turn-limiter.js';

/** Something with a deadline that moves with every request. */
export interface Swept {
  /** @param seen up to when input has been read */
  isDue(seen: Ms): boolean;
  /** Its deadline has passed. Must not throw. */
  expire(): void;
}

const EVERY_MS: Ms = 250;
/** All are looked at within so many ticks. */
const TICKS = 4;
const AT_LEAST = 64;

/**
 * Looks at the deadlines of many connections, a quarter of them at a time, instead of moving an alarm with each of
 * their requests. A deadline is noticed a second late at most.
 */
export class Sweep {
  private readonly members = new Set<Swept>();
  private walk: Iterator<Swept> | undefined;
  private timer: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly backlog: Backlog,
    /** Ends few per turn of the event loop, so that nobody waits when very many are due at once. */
    private readonly endings: TurnLimiter,
  ) {}

  get size(): number {
    return this.members.size;
  }

  add(member: Swept): void {
    this.members.add(member);
    this.timer ??= this.clock.setTimer(this.tick, EVERY_MS);
  }

  delete(member: Swept): void {
    this.members.delete(member);
  }

  clear(): void {
    this.members.clear();
    if (this.timer) this.clock.clearTimer(this.timer);
    this.timer = undefined;
  }

  private readonly tick = (): void => {
    const seen = this.clock.now();
    // Before anyone is judged, what has arrived is read and served.
    this.backlog.whenHeard(() => this.judge(seen));
    this.timer = this.members.size === 0 ? undefined : this.clock.setTimer(this.tick, EVERY_MS);
  };

  private judge(seen: Ms): void {
    const { members } = this;
    for (let left = Math.max(AT_LEAST, Math.ceil(members.size / TICKS)); left > 0; left--) {
      this.walk ??= members.values();
      const { done, value } = this.walk.next();
      if (done) {
        this.walk = undefined;
        return;
      }
      if (!value.isDue(seen)) continue;
      this.endings.do(() => {
        if (members.has(value) && value.isDue(seen)) value.expire();
      });
    }
  }
}
