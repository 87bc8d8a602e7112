import type { Clock, Ms } from '../../common/system.js';
import type { Backlog } from '../../core/driver.js';
import type { Request } from '../../protocol/messages.js';
import { Hearing, type WaitingWork } from './hearing.js';

/** How long sessions that flood the daemon may execute in one turn of the event loop. */
interface Allowance {
  /** All sessions served directly, if none is queued. */
  readonly heardMs: Ms;
  /** All queued sessions together, and each of them at a time. */
  readonly queuedMs: Ms;
  readonly sliceMs: Ms;
}

/** With no other session active, a window of 1,000 pipelined requests passes at once. */
const ALONE: Allowance = { heardMs: 1.5, queuedMs: 0.75, sliceMs: 0.5 };
/** With other sessions active, which wait a few turns per request. */
const AMONG_OTHERS: Allowance = { heardMs: 0.4, queuedMs: 0.3, sliceMs: 0.15 };

/** How many requests a session executes between two checks of its time. */
export const REQUESTS_AT_ONCE = 16;

/** While this many bytes of a session wait to be executed, no more are read from it. */
export const UNREAD_BYTES = 64 * 1024;

/** The weight of a request: the cost of `stats` grows with the number of keys. */
export const weightOf = (frame: Request | string): number =>
  typeof frame === 'object' && frame.t === 'stats' ? REQUESTS_AT_ONCE : 1;

/** A session with more to execute than fits into its slice of a turn. */
export interface ScheduledWork {
  /** Executes for `sliceMs`, and joins the queue again if there is more. */
  proceed(now: Ms, sliceMs: Ms): void;
}

/**
 * Queues sessions that flood the daemon with requests, and lets them share what is left of each turn. A session with
 * few requests is served as they arrive, and waits one turn at most, however much others request.
 */
export class RequestScheduler implements Backlog, WaitingWork {
  private readonly queue: ScheduledWork[] = [];
  private proceeding = false;
  /** Time spent in this turn by sessions served directly that flood, and when the last of them checked the clock. */
  private spentMs: Ms = 0;
  private looked: Ms = -Infinity;
  private allowance = ALONE;
  private changesBefore = 0;
  private readonly hearing: Hearing;

  /**
   * @param heard runs when queued sessions have executed requests
   * @param changes how often the active session has changed
   */
  constructor(
    private readonly clock: Clock,
    private readonly heard: () => void,
    private readonly changes: () => number,
  ) {
    this.hearing = new Hearing(clock, this);
  }

  /**
   * Whether a session that has executed since `began` must join the queue. Sessions served directly share the turn; the
   * longer the queue, the smaller their share.
   *
   * @param sliceMs the slice of a queued session
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

  /** WaitingWork */
  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** WaitingWork */
  afterAll(done: () => void): void {
    this.add({ proceed: done });
  }

  /** Backlog */
  whenHeard(heard: () => void): void {
    this.hearing.whenHeard(heard);
  }

  private readonly newTurn = (): void => {
    this.spentMs = 0;
    this.lookAround();
  };

  /** Checks whether other sessions were active since the last turn, besides the one that floods. */
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
    // Each session runs at most once per turn; one that is not done goes to the end of the queue.
    for (let left = queue.length; left > 0 && now < end; left--) {
      queue.shift()!.proceed(now, sliceMs);
      now = clock.now();
    }
    this.proceeding = false;
    if (queue.length > 0) clock.afterPoll(this.next);
    this.heard();
  };
}
