import { type Alarm, newAlarm } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Backoff } from '../../../common/backoff.js';
import { Lane } from './lane.js';
import type { LaneContext, LaneHooks, Role } from './lane-context.js';
import { isRefusal } from './lane-errors.js';
import { type LinkEvent, type LinkState, nextLinkState } from './link-state.js';

/** The state before a failure: no attempt yet, linked, or down. */
export type LinkBefore = 'new' | 'linked' | 'down';

export interface ReconnectingHooks extends Omit<LaneHooks<Lane>, 'connected' | 'ended'> {
  /** The warning if the server is connected but repeatedly refuses this lane a connection. */
  readonly missing?: string;
  /** The server has answered, and the lane is usable. `wasLinked`: it replaces another. */
  up(lane: Lane, wasLinked: boolean): void;
  /** The lane was lost or the attempt failed. `final`: no further attempt is scheduled. */
  down(error: LockError, final: boolean, before: LinkBefore): void;
  /** A lane that was replaced or dropped has ended. */
  dismissed?(lane: Lane): void;
}

/** Failures before a warning. When the server restarts, fewer occur before the shared connections are lost too. */
const TELLING = 3;

/**
 * A server that answers and then disconnects, again and again, is not healthy: from this many times on, its answers do
 * not reset the delay.
 */
const MAX_BRIEF = 3;

/**
 * A connection that is re-established whenever it is lost. An attempt succeeds with the server's first reply, not with
 * the TCP connection. Success resets the delay, and so does a lane that has lasted.
 */
export class ReconnectingLane {
  /** Why there is no lane; undefined while there is one, and before the first attempt. */
  error: LockError | undefined;
  /** Time of the last loss or failed attempt. */
  failedAt: Ms = -Infinity;
  private state: LinkState = 'idle';
  private current: Lane | undefined;
  private isWanted = true;
  /** Losses and failed attempts since it was last up. */
  private failures = 0;
  private upSince: Ms = 0;
  /** Number of lanes in a row that were answered and lost soon after. */
  private brief = 0;
  private readonly redial: Alarm = newAlarm(() => this.dial());

  constructor(
    private readonly role: Role,
    private readonly context: LaneContext,
    private readonly backoff: Backoff,
    private readonly hooks: ReconnectingHooks,
  ) {}

  /** The lane of the current attempt, connected or not. */
  get lane(): Lane | undefined {
    return this.current;
  }

  get isUp(): boolean {
    return this.state === 'up';
  }

  /** Up, or being replaced. */
  get isLinked(): boolean {
    return this.state === 'up' || this.state === 'replacing';
  }

  get isDialing(): boolean {
    return this.state === 'dialing' || this.state === 'replacing';
  }

  /** No attempt is scheduled, and open() makes none yet. */
  get isFinal(): boolean {
    return this.state === 'refused' || this.state === 'closed';
  }

  /** Connects, unless connected, connecting or scheduled. */
  open(): void {
    this.isWanted = true;
    if (this.state === 'idle' || (this.state === 'refused' && this.mayAskAgain)) this.dial();
  }

  /** Connects now, unless connected or connecting. */
  hurry(): void {
    if (this.state === 'down') this.dial();
    else this.open();
  }

  /** A lost lane is not replaced until the next open(). */
  pause(): void {
    this.isWanted = false;
    if (this.state !== 'down') return;
    this.context.alarms.cancel(this.redial);
    this.to('rest');
  }

  /** Lets go of the current lane and dials another in its place. */
  replace(): void {
    this.current = undefined;
    this.dial('replace');
  }

  /** Ends the lane; open() connects another. */
  drop(error: LockError): void {
    if (this.state === 'closed') return;
    this.context.alarms.cancel(this.redial);
    this.to('rest');
    const { current } = this;
    this.current = undefined;
    current?.end(error);
  }

  /** Makes no more attempts. The lane stays until its owner ends it. */
  close(error: LockError): void {
    if (this.state === 'closed') return;
    this.to('close');
    this.error = error;
    this.context.alarms.cancel(this.redial);
  }

  private to(event: LinkEvent): void {
    this.state = nextLinkState(this.state, event);
  }

  private dial(event: 'dial' | 'replace' = 'dial'): void {
    const { context, hooks } = this;
    context.alarms.cancel(this.redial);
    this.to(event);
    try {
      this.current = new Lane(this.role, context, {
        ...hooks,
        connected: (lane) => this.connected(lane),
        ended: (lane, error) => this.ended(lane, error),
      });
    } catch (error) {
      this.lost(error as LockError);
    }
  }

  private connected(lane: Lane): void {
    if (lane !== this.current || this.state === 'closed') return;
    const wasLinked = this.isLinked;
    this.to('connect');
    this.error = undefined;
    this.failures = 0;
    this.upSince = this.context.clock.now();
    if (this.brief < MAX_BRIEF) this.backoff.reset();
    this.context.record.worked();
    this.hooks.up(lane, wasLinked);
  }

  private ended(lane: Lane, error: LockError): void {
    if (lane !== this.current) return this.hooks.dismissed?.(lane);
    this.current = undefined;
    if (this.state === 'closed') return;
    if (this.state === 'up') this.weigh();
    this.lost(error);
  }

  /** A lane that has lasted for the maximum delay clears the count of brief ones. */
  private weigh(): void {
    const { backoff, context } = this;
    this.brief++;
    if (context.clock.now() - this.upSince < backoff.maxMs) return;
    this.brief = 0;
    backoff.reset();
  }

  private lost(error: LockError): void {
    const { context, backoff } = this;
    const before = this.isLinked ? 'linked' : this.error ? 'down' : 'new';
    this.error = error;
    this.failedAt = context.clock.now();
    if (isRefusal(error) && !error.isTransient) {
      this.to('refuse');
      return this.hooks.down(error, true, before);
    }
    if (isRefusal(error)) context.record.refused(error);
    else this.noteFailure(error);
    if (this.isWanted) this.redialIn(isRefusal(error) ? backoff.longest() : backoff.next());
    else this.to('rest');
    this.hooks.down(error, false, before);
  }

  /** Warns only while the server is connected; its loss is reported elsewhere. */
  private noteFailure(error: LockError): void {
    const { record } = this.context;
    const { missing } = this.hooks;
    if (++this.failures === TELLING && missing && record.isLinked) record.tell(`${missing} (${error.message})`);
  }

  private redialIn(delay: Ms): void {
    const { alarms, clock } = this.context;
    this.to('retry');
    // Never in the same turn: a server that accepts and closes would be dialed in a tight loop.
    alarms.set(this.redial, clock.now() + Math.max(delay, 1));
  }

  /** Whether the refusal is old enough for a new attempt, or another lane has been accepted since. */
  private get mayAskAgain(): boolean {
    const { record, clock } = this.context;
    return record.hasWorked || clock.now() - this.failedAt >= this.backoff.maxMs;
  }
}
