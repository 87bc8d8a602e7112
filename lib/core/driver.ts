import type { Clock, Ms, Timer } from '../common/system.js';
import type { Engine } from './engine.js';

/** Longest time between two checks of the engine; Node's timers cannot exceed 2^31 - 1 ms. */
const LONGEST: Ms = 2 ** 31 - 1;

/** A session with work to do, because the engine answered it while it executed another session's request. */
export interface Woken {
  resume(now: Ms): void;
}

/** What a host has read and will execute in later turns of the event loop. */
export interface Backlog {
  /**
   * Calls back, never during the call, when everything that has arrived by now has been executed. A flood must not
   * delay this for long.
   */
  whenHeard(heard: () => void): void;
}

/**
 * What the hosts of one engine share: its timer, and the sessions that its answers have woken. After the timer fires,
 * the hosts read their sockets once more, and execute what they have read, before the engine expires anything: after a
 * stall, renewals and releases that came in time wait in the buffers.
 */
export class EngineDriver {
  private timer: Timer | undefined;
  private armedFor: Ms = Infinity;
  private judging = false;
  private closed = false;
  private resuming = false;
  private readonly woken: Woken[] = [];
  private readonly backlogs = new Set<Backlog>();
  /** When the timer fired; what arrived until `heard` has been executed, and the engine was judged by `judged`. */
  private seen: Ms = -Infinity;
  private heard: Ms = -Infinity;
  private judged: Ms = -Infinity;
  /** Whether the next portion of the judgement comes by itself. */
  private goesOn = false;

  constructor(
    readonly engine: Engine,
    readonly clock: Clock,
  ) {}

  /** From now on nothing expires before this backlog has been executed. */
  addBacklog(backlog: Backlog): void {
    this.backlogs.add(backlog);
  }

  removeBacklog(backlog: Backlog): void {
    this.backlogs.delete(backlog);
  }

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
    if (this.goesOn || this.closed) return;
    const wake = this.engine.nextWake();
    // Left-over work need not wait for a timer, nor for backlogs.
    if (wake === -Infinity) this.fired();
    // A timer that fires too early costs less than moving it at each renewal and release.
    else if (!this.judging && wake < this.armedFor) this.arm(wake);
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
    this.judging = this.goesOn = true;
    this.seen = this.clock.now();
    this.hear(this.seen);
    this.clock.afterPoll(this.judge);
  }

  private hear(seen: Ms): void {
    let left = this.backlogs.size;
    if (left === 0) this.heard = seen;
    for (const backlog of this.backlogs) {
      backlog.whenHeard(() => {
        if (--left > 0) return;
        this.heard = Math.max(this.heard, seen);
        if (!this.goesOn) this.judge();
      });
    }
  }

  /**
   * Takes one turn of the event loop per portion of work, so that requests are served in between. What need not wait for
   * the backlogs does not.
   */
  private readonly judge = (): void => {
    this.goesOn = false;
    if (this.closed) return;
    this.judged = Math.max(this.judged, Math.min(this.seen, this.heard));
    this.engine.advance(this.clock.now(), this.judged);
    const wake = this.engine.nextWake();
    this.judging = wake <= this.seen;
    if (wake <= this.judged) this.goOn();
    this.touch();
  };

  private goOn(): void {
    this.goesOn = true;
    this.clock.endOfTurn(this.judge);
  }
}
