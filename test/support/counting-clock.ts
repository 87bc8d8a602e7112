import { type Clock, systemClock, type Timer } from '../../lib/common/system.js';

/** The system's clock; knows how many of its timers have neither fired nor been cleared. */
export class CountingClock implements Clock {
  readonly now = systemClock.now;
  readonly afterPoll = systemClock.afterPoll;
  readonly endOfTurn = systemClock.endOfTurn;
  readonly uptime = systemClock.uptime;
  readonly wall = systemClock.wall;
  private readonly open = new Set<Timer>();

  get timers(): number {
    return this.open.size;
  }

  setTimer(fn: () => void, delay: number, keepAlive?: boolean): Timer {
    const run = (): void => {
      this.open.delete(timer);
      fn();
    };
    const timer = systemClock.setTimer(run, delay, keepAlive);
    this.open.add(timer);
    return timer;
  }

  clearTimer(timer: Timer): void {
    this.open.delete(timer);
    systemClock.clearTimer(timer);
  }
}
