import { type LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Backoff } from '../../../common/backoff.js';
import type { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';
import { type LinkBefore, ReconnectingLane } from './reconnecting-lane.js';

/**
 * Called when a lane is connected, and when none can be, with the reason in `error`. `wasUp`: a lane was connected
 * before.
 */
export type CommandLaneChanged = (wasUp: boolean, error?: LockError) => void;

type Waiting = (outcome: Lane | LockError) => void;

/** A command lane that is always available: reconnected when lost, replaced when suspect. */
export class CommandLane {
  private readonly link: ReconnectingLane;
  /** Suspect and draining lanes, kept for the grants they own. */
  private readonly retiring = new Set<Lane>();
  private readonly waiting = new Set<Waiting>();

  constructor(
    context: LaneContext,
    backoff: Backoff,
    private readonly changed: CommandLaneChanged,
  ) {
    this.link = new ReconnectingLane('command', context, backoff, {
      up: (lane, wasUp) => this.up(lane, wasUp),
      down: (error, _, before) => this.down(error, before),
      dismissed: (lane) => this.retiring.delete(lane),
      freed: (lane) => this.dismiss(lane),
      doubted: (lane) => this.setAside(lane),
      trusted: (lane) => lane === this.link.lane && this.tell(lane),
    });
  }

  /** The lane, if it can be used right now. */
  get lane(): Lane | undefined {
    const { lane } = this.link;
    return lane?.isUsable ? lane : undefined;
  }

  /** Connected; remains true while a suspect lane is being replaced. */
  get isUp(): boolean {
    return this.link.isLinked;
  }

  /** An attempt is under way. */
  get isDialing(): boolean {
    return this.link.isDialing;
  }

  /** Why there is no lane. */
  get error(): LockError | undefined {
    return this.link.error;
  }

  /** Time of the last loss or failed attempt. */
  get failedAt(): Ms {
    return this.link.failedAt;
  }

  get lanes(): readonly Lane[] {
    const { lane } = this.link;
    return lane ? [lane, ...this.retiring] : [...this.retiring];
  }

  /** Connects, unless that has begun already. */
  open(): void {
    this.link.open();
  }

  /**
   * Passes the lane as soon as it is connected, or the error of the next attempt; at once if known. Returns a function
   * that cancels.
   */
  whenUp(callback: Waiting): () => void {
    this.open();
    const { lane, link } = this;
    if (lane) callback(lane);
    else if (link.isFinal) callback(link.error!);
    else {
      this.waiting.add(callback);
      return () => this.waiting.delete(callback);
    }
    return () => undefined;
  }

  /** The server shuts down. */
  drain(): void {
    for (const lane of this.lanes) lane.drain();
  }

  /** Makes no more attempts; the lanes end after their last replies. */
  retire(error: LockError): void {
    this.finish(error);
    for (const lane of this.lanes) lane.retire(error);
  }

  /** Ends all lanes now. */
  destroy(error: LockError): void {
    this.finish(error);
    for (const lane of this.lanes) lane.end(error);
  }

  private up(lane: Lane, wasUp: boolean): void {
    this.changed(wasUp);
    this.tell(lane);
  }

  private down(error: LockError, before: LinkBefore): void {
    if (before !== 'down') this.changed(before === 'linked', error);
    this.tell(error);
  }

  /** The lane keeps its grants; new work goes to another. */
  private setAside(lane: Lane): void {
    if (lane !== this.link.lane || !this.link.isUp) return;
    this.retiring.add(lane);
    this.link.replace();
  }

  /** A retiring lane that owns nothing is not needed any more. */
  private dismiss(lane: Lane): void {
    if (this.retiring.has(lane))
      lane.end(new LockUnavailableError(`${lane.server}: replaced`, { server: lane.server }));
  }

  private finish(error: LockError): void {
    this.link.close(error);
    this.tell(this.link.error!);
  }

  private tell(outcome: Lane | LockError): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const callback of waiting) callback(outcome);
  }
}
