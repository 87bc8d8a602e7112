import type { Clock, Ms, Timer } from '../common/system.js';
import type { Engine } from './engine.js';

/** Longest time between two looks at the engine; Node's timers cannot be longer than 2^31 - 1 ms. */
const LONGEST: Ms = 2 ** 31 - 1;

/** A session that has something to do because the engine answered it in the middle of somebody else's request. */
export interface Woken {
  resume(now: Ms): void;
}

/**
 * What the hosts of one engine share: its time, and the sessions that its answers have woken. After the timer fires, the
 * host reads its sockets once more before the engine judges: a process that stalled has renewals and releases waiting
 * in its buffers, and they came first.
 */
export class EngineDriver {
  private timer: Timer | undefined;
  private armedFor: Ms = Infinity;
  private judging = false;
  private closed = false;
  private resuming = false;
  private readonly woken: Woken[] = [];

  constructor(
    readonly engine: Engine,
    readonly clock: Clock,
  ) {}

  /** May be called from a sink: the session is resumed by the next touch. */
  wake(session: Woken): void {
    this.woken.push(session);
  }

  /**
   * Resumes those who have been woken, without waiting for the next touch: they have waited long enough. Not to be called
   * from a sink.
   */
  resumeWoken(): void {
    if (this.resuming || this.woken.length === 0) return;
    const now = this.clock.now();
    this.resuming = true;
    // Who is resumed may wake others: the list grows while it is walked.
    for (let i = 0; i < this.woken.length; i++) {
      try {
        this.woken[i]!.resume(now);
      } catch (error) {
        this.tell(error);
      }
    }
    this.woken.length = 0;
    this.resuming = false;
  }

  /** What somebody who is resumed throws is thrown where it stops nobody else. */
  private tell(error: unknown): void {
    this.clock.endOfTurn(() => {
      throw error;
    });
  }

  /** To be called by a host whenever it has used the engine. Not to be called from a sink. */
  touch(): void {
    if (this.resuming) return;
    this.resumeWoken();
    if (this.judging || this.closed) return;
    const wake = this.engine.nextWake();
    // What was left over need not wait for a timer.
    if (wake === -Infinity) this.fired();
    // A timer that fires too early costs less than moving it with each renewal and release.
    else if (wake < this.armedFor) this.arm(wake);
  }

  /** The engine's time stops. */
  close(): void {
    this.closed = true;
    this.disarm();
  }

  private arm(wake: Ms): void {
    this.disarm();
    this.armedFor = wake;
    this.timer = this.clock.setTimer(() => this.fired(), Math.min(wake - this.clock.now(), LONGEST));
  }

  private disarm(): void {
    if (this.timer) this.clock.clearTimer(this.timer);
    this.timer = undefined;
    this.armedFor = Infinity;
  }

  private fired(): void {
    this.disarm();
    this.judging = true;
    const seen = this.clock.now();
    this.clock.afterPoll(() => this.judge(seen));
  }

  /** As many turns as the engine has portions: whoever speaks meanwhile is heard in between. */
  private judge(seen: Ms): void {
    if (this.closed) return;
    this.engine.advance(this.clock.now(), seen);
    this.judging = this.engine.nextWake() <= seen;
    if (this.judging) this.clock.endOfTurn(() => this.judge(seen));
    this.touch();
  }
}
