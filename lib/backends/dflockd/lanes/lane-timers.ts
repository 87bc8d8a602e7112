import type { Alarm, Alarms } from '../../../common/alarms.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Exchange } from './exchange.js';

/** What a watch has to know about its lane, and what it has done to it. */
export interface Watched {
  /** The oldest request without an answer. */
  readonly oldest: Exchange | undefined;
  /** When something was sent last. */
  readonly lastSend: Ms;
  readonly lastAckedSend: Ms;
  /** Whether it is to stay although nobody uses it. */
  readonly stays: boolean;
  readonly isSuspect: boolean;
  readonly grants: number;
  readonly isEnded: boolean;
  /** Requests have become overdue. */
  doubt(late: readonly Exchange[]): void;
  /** Nothing good is to be expected any more. */
  giveUp(): void;
  beat(): void;
}

export interface WatchContext {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly requestTimeoutMs: Ms;
  /** After so much silence the server closes a connection, as far as is known: may become less. */
  readonly readTimeoutMs: Ms;
}

/** Parts of the server's read timeout after which a lane that is to stay says something. */
const BEATS_PER_READ_TIMEOUT = 3;

/** The one alarm of a lane: overdue answers, heartbeats, and the end of all hope for a suspect lane. */
export class LaneTimers implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private doubtedAt: Ms = Infinity;
  /** When a heartbeat was asked for last; it may leave later. */
  private lastBeat: Ms = -Infinity;

  constructor(
    private readonly lane: Watched,
    private readonly context: WatchContext,
  ) {}

  /** To be called when something has changed. The alarm is moved only to be earlier; ringing too early is cheap. */
  arm(): void {
    const { lane } = this;
    if (lane.isEnded) return;
    // Late exchanges have been dealt with.
    let next = lane.oldest;
    while (next?.late) next = next.next;
    const due = Math.min(next?.dueAt ?? Infinity, this.beatAt, this.hopelessAt);
    if (this.slot < 0 || due < this.due) this.context.alarms.set(this, due);
  }

  stop(): void {
    this.context.alarms.cancel(this);
  }

  /** All overdue answers have come. */
  trust(): void {
    this.doubtedAt = Infinity;
  }

  ring(now: Ms): void {
    const { oldest } = this.lane;
    if ((oldest && oldest.dueAt <= now) || this.hopelessAt <= now) {
      // After a stall timers run before input: the answer may have arrived.
      this.context.clock.afterPoll(() => this.judge(now));
    } else {
      this.beat(now);
      this.arm();
    }
  }

  /** @param seen all input that had arrived by then has been read; what became due later has not had its look yet */
  private judge(seen: Ms): void {
    const { lane } = this;
    if (lane.isEnded) return;
    const late: Exchange[] = [];
    for (let x = lane.oldest; x && x.dueAt <= seen; x = x.next) {
      if (x.late) continue;
      x.late = true;
      late.push(x);
    }
    if (late.length > 0) {
      this.doubtedAt = Math.min(this.doubtedAt, seen);
      lane.doubt(late);
    }
    if (!lane.isEnded && this.hopelessAt <= seen) lane.giveUp();
    if (lane.isEnded) return;
    this.beat(this.context.clock.now());
    this.arm();
  }

  /** The server takes silence for death (spec 1.5). 1.10 answers `error` to a ping: a sign of life, once more follows. */
  private beat(now: Ms): void {
    if (this.beatAt > now) return;
    this.lastBeat = now;
    this.lane.beat();
  }

  private get beatAt(): Ms {
    const { stays, oldest, lastSend } = this.lane;
    if (!stays || oldest) return Infinity;
    return Math.max(lastSend, this.lastBeat) + this.context.readTimeoutMs / BEATS_PER_READ_TIMEOUT;
  }

  /** A suspect lane is kept for its grants until the server must have closed it. */
  private get hopelessAt(): Ms {
    const { isSuspect, grants, lastAckedSend } = this.lane;
    if (!isSuspect) return Infinity;
    const patient = this.doubtedAt + this.context.requestTimeoutMs;
    return grants > 0 ? Math.max(lastAckedSend + this.context.readTimeoutMs, patient) : patient;
  }
}
