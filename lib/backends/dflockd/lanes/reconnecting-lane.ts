import { type Alarm, newAlarm } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Backoff } from './backoff.js';
import { Lane } from './lane.js';
import type { LaneContext, LaneHooks, Role } from './lane-context.js';
import { isRefusal } from './lane-errors.js';
import { type LinkEvent, type LinkState, nextLinkState } from './link-state.js';

/** What was known before a failure: nothing, that there is a lane, or that there is none. */
export type LinkBefore = 'new' | 'linked' | 'down';

export interface ReconnectingHooks extends Omit<LaneHooks<Lane>, 'connected' | 'ended'> {
  /** What is told when the server is there and gives no connection for it, again and again. */
  readonly missing?: string;
  /** The server has answered: the lane can be used. `wasLinked`: it replaces another. */
  up(lane: Lane, wasLinked: boolean): void;
  /** The lane is lost, or the attempt has failed. `final`: no attempt follows by itself. */
  down(error: LockError, final: boolean, before: LinkBefore): void;
  /** A lane that had been let go has ended. */
  dismissed?(lane: Lane): void;
}

/** A restart fails less often before the shared connections are seen to be lost, too. */
const TELLING = 3;

/** A server that answers and hangs up again and again is no server: from so many times on, its answers reset no delay. */
const MAX_BRIEF = 3;

/**
 * A connection that is made again whenever it is lost. An attempt succeeds with the server's first answer, which resets
 * the delay, as does a lane that has lasted; a TCP connection alone is no success.
 */
export class ReconnectingLane {
  /** Why there is no lane; undefined while there is one, and before the first attempt. */
  error: LockError | undefined;
  /** When a lane was lost or an attempt failed last. */
  failedAt: Ms = -Infinity;
  private state: LinkState = 'idle';
  private current: Lane | undefined;
  private isWanted = true;
  /** Losses and failed attempts since it was up. */
  private failures = 0;
  private upSince: Ms = 0;
  /** How many lanes in a row have been answered and lost soon after. */
  private brief = 0;
  private readonly redial: Alarm = newAlarm(() => this.dial());

  constructor(
    private readonly role: Role,
    private readonly context: LaneContext,
    private readonly backoff: Backoff,
    private readonly hooks: ReconnectingHooks,
  ) {}

  /** The lane of the present attempt, connected or not. */
  get lane(): Lane | undefined {
    return this.current;
  }

  get isUp(): boolean {
    return this.state === 'up';
  }

  /** Up, or about to be again: its lane is being replaced. */
  get isLinked(): boolean {
    return this.state === 'up' || this.state === 'replacing';
  }

  get isDialing(): boolean {
    return this.state === 'dialing' || this.state === 'replacing';
  }

  /** No attempt follows by itself, and none has been made by open(). */
  get isFinal(): boolean {
    return this.state === 'refused' || this.state === 'closed';
  }

  /** Connects, unless that is done, under way, or due by itself. */
  open(): void {
    this.isWanted = true;
    if (this.state === 'idle' || (this.state === 'refused' && this.mayAskAgain)) this.dial();
  }

  /** Connects now, unless that is done or under way. */
  hurry(): void {
    if (this.state === 'down') this.dial();
    else this.open();
  }

  /** A lane that is lost is not replaced any more until somebody opens it. */
  pause(): void {
    this.isWanted = false;
    if (this.state !== 'down') return;
    this.context.alarms.cancel(this.redial);
    this.to('rest');
  }

  /** The present lane goes its own way; another takes its place. */
  replace(): void {
    this.current = undefined;
    this.dial('replace');
  }

  /** Ends the lane; open() makes another. */
  drop(error: LockError): void {
    if (this.state === 'closed') return;
    this.context.alarms.cancel(this.redial);
    this.to('rest');
    const { current } = this;
    this.current = undefined;
    current?.end(error);
  }

  /** No more attempts. The lane stays until somebody ends it. */
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

  /** A lane that has lasted for the longest delay makes up for those that have not. */
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

  /** A server that is gone is told of elsewhere. */
  private noteFailure(error: LockError): void {
    const { record } = this.context;
    const { missing } = this.hooks;
    if (++this.failures === TELLING && missing && record.isLinked) record.tell(`${missing} (${error.message})`);
  }

  private redialIn(delay: Ms): void {
    const { alarms, clock } = this.context;
    this.to('retry');
    // Never in the same turn: a server that accepts and closes would be asked again and again.
    alarms.set(this.redial, clock.now() + Math.max(delay, 1));
  }

  /** Whether a refusal is old enough to be put to the test again, or another lane has been accepted since. */
  private get mayAskAgain(): boolean {
    const { record, clock } = this.context;
    return record.hasWorked || clock.now() - this.failedAt >= this.backoff.maxMs;
  }
}
