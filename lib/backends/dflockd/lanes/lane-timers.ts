import type { Alarm, Alarms } from '../../../common/alarms.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Exchange } from './exchange.js';

/** What the timers read from their lane, and what they trigger. */
export interface Watched {
  /** The oldest request without a reply. */
  readonly oldest: Exchange | undefined;
  /** Time of the last write. */
  readonly lastSend: Ms;
  readonly lastAckedSend: Ms;
  /** Whether to keep the lane although it is idle. */
  readonly stays: boolean;
  readonly isSuspect: boolean;
  readonly grants: number;
  readonly isEnded: boolean;
  /** Requests have become overdue. */
  doubt(late: readonly Exchange[]): void;
  /** No reply is to be expected any more. */
  giveUp(): void;
  beat(): void;
}

export interface WatchContext {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly requestTimeoutMs: Ms;
  /** The server closes a connection after this much silence, as far as is known; may become shorter. */
  readonly readTimeoutMs: Ms;
}

/** Heartbeats of an idle lane per read timeout of the server. */
const BEATS_PER_READ_TIMEOUT = 3;

/**
 * The one alarm of a lane: decides when a reply is overdue, when a heartbeat is due (`Lane.beat` sends it), and when to
 * give up a suspect lane.
 */
export class LaneTimers implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private doubtedAt: Ms = Infinity;
  /** When the last heartbeat was requested; it may be sent later. */
  private lastBeat: Ms = -Infinity;

  constructor(
    private readonly lane: Watched,
    private readonly context: WatchContext,
  ) {}

  /** Call after every change. The alarm is only moved to an earlier time: ringing too early is cheap. */
  arm(): void {
    const { lane } = this;
    if (lane.isEnded) return;
    // Late exchanges have been handled.
    let next = lane.oldest;
    while (next?.late) next = next.next;
    const due = Math.min(next?.dueAt ?? Infinity, this.beatAt, this.hopelessAt);
    if (this.slot < 0 || due < this.due) this.context.alarms.set(this, due);
  }

  stop(): void {
    this.context.alarms.cancel(this);
  }

  /** All overdue replies have arrived. */
  trust(): void {
    this.doubtedAt = Infinity;
  }

  ring(now: Ms): void {
    const { oldest } = this.lane;
    if ((oldest && oldest.dueAt <= now) || this.hopelessAt <= now) {
      // After a stall, timers run before input is read, so the reply may have arrived.
      this.context.clock.afterPoll(() => this.judge(now));
    } else {
      this.beat(now);
      this.arm();
    }
  }

  /** @param seen all input that had arrived by then has been read; requests due later are judged next time */
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

  /**
   * The server closes silent connections (spec 1.5). 1.10 replies `error` to a ping, which proves as much; one more
   * ping follows.
   */
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
