import type { Clock, Ms, Timer } from '../common/system.js';
import type { Engine } from './engine.js';

/** Longest time between two checks of the engine; Node's timers cannot exceed 2^31 - 1 ms. */
const LONGEST: Ms = 2 ** 31 - 1;

/** A session with work to do, because the engine answered it while it executed another session's request. */
export interface Woken {
  resume(now: Ms): void;
}

/**
 * What the hosts of one engine share: its timer, and the sessions that its answers have woken. After the timer fires,
 * the host reads its sockets once more before the engine expires anything: after a stall, renewals and releases that
 * came in time wait in the buffers.
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

  /** The next `touch` resumes the session. May be called from a sink. */
  wake(session: Woken): void {
    this.woken.push(session);
  }

  /**
   * Resumes the woken sessions now instead of at the next `touch`: they have waited long enough. Must not be called
   * from a sink.
   */
  resumeWoken(): void {
    if (this.resuming || this.woken.length === 0) return;
    const now = this.clock.now();
    this.resuming = true;
    // A resumed session may wake others: the list grows while it is walked.
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

  /** Rethrows an error of a resumed session where it stops no other session. */
  private tell(error: unknown): void {
    this.clock.endOfTurn(() => {
      throw error;
    });
  }

  /** A host must call this after it has used the engine. Must not be called from a sink. */
  touch(): void {
    if (this.resuming) return;
    this.resumeWoken();
    if (this.judging || this.closed) return;
    const wake = this.engine.nextWake();
    // Left-over work need not wait for a timer.
    if (wake === -Infinity) this.fired();
    // A timer that fires too early costs less than moving it at each renewal and release.
    else if (wake < this.armedFor) this.arm(wake);
  }

  /** Stops the engine's time. */
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

  /** Takes one turn of the event loop per portion of work, so that requests are served in between. */
  private judge(seen: Ms): void {
    if (this.closed) return;
    this.engine.advance(this.clock.now(), seen);
    this.judging = this.engine.nextWake() <= seen;
    if (this.judging) this.clock.endOfTurn(() => this.judge(seen));
    this.touch();
  }
}
