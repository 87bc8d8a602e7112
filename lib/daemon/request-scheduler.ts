import type { Clock, Ms } from '../common/system.js';
import type { Request } from '../protocol/messages.js';

/** What may be executed in a turn of the event loop by sessions that flood the daemon. */
interface Allowance {
  /** By all sessions that are served directly, if none is queued. */
  readonly heardMs: Ms;
  /** By all queued sessions together, and by each of them at a time. */
  readonly queuedMs: Ms;
  readonly sliceMs: Ms;
}

/** A window of 1,000 pipelined requests passes in one go. */
const ALONE: Allowance = { heardMs: 1.5, queuedMs: 0.75, sliceMs: 0.5 };
/** Whoever else is there waits for a few turns with each request. */
const AMONG_OTHERS: Allowance = { heardMs: 0.4, queuedMs: 0.3, sliceMs: 0.15 };

/** After so many requests a session looks whether its time is over. */
export const REQUESTS_AT_ONCE = 16;

/** So much of a session may wait to be executed before no more of it is read. */
export const UNREAD_BYTES = 64 * 1024;

/** In requests: the cost of stats grows with the number of keys. */
export const weightOf = (frame: Request | string): number =>
  typeof frame === 'object' && frame.t === 'stats' ? REQUESTS_AT_ONCE : 1;

/** A session that has more to execute than fits into its slice of a turn. */
export interface ScheduledWork {
  /** Executes for so long, and joins the queue again if there is still more. */
  proceed(now: Ms, sliceMs: Ms): void;
}

/**
 * Sessions that flood the daemon with requests, queued for what is left of each turn. Who asks for little is heard as it
 * comes, and waits for a turn at most, however much others have asked for.
 */
export class RequestScheduler {
  private readonly queue: ScheduledWork[] = [];
  private proceeding = false;
  /** By those who have been heard in this turn and had much to say; and when the last of them looked at the clock. */
  private spentMs: Ms = 0;
  private looked: Ms = -Infinity;
  private allowance = ALONE;
  private changesBefore = 0;

  /**
   * @param heard runs when some have proceeded
   * @param changes how often another session was heard than before
   */
  constructor(
    private readonly clock: Clock,
    private readonly heard: () => void,
    private readonly changes: () => number,
  ) {}

  /**
   * Whether a session that executes since `began` must join the queue. Who is heard shares the turn with the others who are, and
   * has the less of it, the more are queued.
   *
   * @param sliceMs what a queued session has for itself
   */
  isOver(began: Ms, sliceMs?: Ms): boolean {
    const now = this.clock.now();
    if (sliceMs !== undefined) return now >= began + sliceMs;
    if (this.spentMs === 0) this.clock.endOfTurn(this.newTurn);
    this.spentMs += now - Math.max(began, this.looked);
    this.looked = now;
    return this.spentMs >= this.allowance.heardMs / (1 + this.queue.length) ** 2;
  }

  add(session: ScheduledWork): void {
    if (this.queue.push(session) === 1 && !this.proceeding) this.clock.afterPoll(this.next);
  }

  private readonly newTurn = (): void => {
    this.spentMs = 0;
    this.lookAround();
  };

  /** Whether others were heard since it was asked last: more than the one that floods, which may have been heard in between. */
  private lookAround(): void {
    const changes = this.changes();
    this.allowance = changes - this.changesBefore > 1 ? AMONG_OTHERS : ALONE;
    this.changesBefore = changes;
  }

  private readonly next = (): void => {
    const { clock, queue } = this;
    let now = clock.now();
    const { queuedMs, sliceMs } = this.allowance;
    const end = now + queuedMs;
    this.proceeding = true;
    // Each at most once in a turn; who is not done goes to the end of the queue.
    for (let left = queue.length; left > 0 && now < end; left--) {
      queue.shift()!.proceed(now, sliceMs);
      now = clock.now();
    }
    this.proceeding = false;
    if (queue.length > 0) clock.afterPoll(this.next);
    this.heard();
  };
}
