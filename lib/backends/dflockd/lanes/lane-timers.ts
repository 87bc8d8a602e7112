import type { Alarm, Alarms } from '../../../common/alarms.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Exchange } from './exchange.js';
import { type Beating, Heartbeat, type HeartbeatContext } from './heartbeat.js';

/** What the timers read from their lane, and what they trigger. */
export interface Watched extends Beating {
  readonly lastAckedSend: Ms;
  readonly isSuspect: boolean;
  readonly grants: number;
  readonly isEnded: boolean;
  /** Requests have become overdue. */
  doubt(late: readonly Exchange[]): void;
  /** No reply is to be expected any more. */
  giveUp(): void;
}

export interface WatchContext extends HeartbeatContext {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly requestTimeoutMs: Ms;
}

/**
 * The one alarm of a lane: decides when a reply is overdue, and when to give up a suspect lane. It rings for the
 * heartbeat too.
 */
export class LaneTimers implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private doubtedAt: Ms = Infinity;
  private readonly heartbeat: Heartbeat;

  constructor(
    private readonly lane: Watched,
    private readonly context: WatchContext,
  ) {
    this.heartbeat = new Heartbeat(lane, context);
  }

  /** Call after every change. The alarm is only moved to an earlier time: ringing too early is cheap. */
  arm(): void {
    const { lane } = this;
    if (lane.isEnded) return;
    // Late exchanges have been handled.
    let next = lane.oldest;
    while (next?.late) next = next.next;
    const due = Math.min(next?.dueAt ?? Infinity, this.heartbeat.beatAt, this.hopelessAt);
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
      this.heartbeat.beatIfDue(now);
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
    this.heartbeat.beatIfDue(this.context.clock.now());
    this.arm();
  }

  /** A suspect lane is kept for its grants until the server must have closed it. */
  private get hopelessAt(): Ms {
    const { isSuspect, grants, lastAckedSend } = this.lane;
    if (!isSuspect) return Infinity;
    const patient = this.doubtedAt + this.context.requestTimeoutMs;
    return grants > 0 ? Math.max(lastAckedSend + this.context.readTimeoutMs, patient) : patient;
  }
}
