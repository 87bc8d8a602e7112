import { type Alarm, type Alarms, newAlarm } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import { ChannelRouter } from '../../../protocol/channel-router.js';
import type { Push } from '../../../protocol/messages.js';
import type { Backoff } from './backoff.js';
import type { LaneContext } from './lane-context.js';
import { ListenerLane } from './listener-lane.js';

/** Somebody who listens. Byte strings; called in the turn in which it happens; must not throw. */
export interface Taker {
  signal(push: Push): void;
  /** Nothing will come any more. */
  failed(error: LockError): void;
}

/** Longer than timers can be. */
const FOREVER: Ms = 2 ** 31;

/**
 * All who listen to one server. Those without a group share a connection, on which the server sends each signal once,
 * however many of its patterns match. Each member of a group has a connection of its own: a push does not say to which group
 * it is owed.
 */
export class Listeners {
  private readonly router = new ChannelRouter<Taker>();
  private shared: ListenerLane | undefined;
  private readonly members = new Map<ListenerLane, Taker>();
  private closed: LockError | undefined;
  /** Somebody waits for something: that keeps the process alive, as the connection does not. */
  private readonly wakefulness: Alarm;

  /** @param waits whose alarms keep the process alive */
  constructor(
    private readonly context: LaneContext,
    private readonly backoff: () => Backoff,
    private readonly waits: Alarms,
  ) {
    this.wakefulness = newAlarm((now) => waits.set(this.wakefulness, now + FOREVER));
  }

  /** Connections, for tests and diagnosis. */
  get lanes(): number {
    return this.members.size + (this.shared ? 1 : 0);
  }

  /** Returns the end of it. */
  subscribe(pattern: string, group: string, taker: Taker): () => void {
    if (this.closed) {
      taker.failed(this.closed);
      return () => undefined;
    }
    const leave = group === '' ? this.join(pattern, taker) : this.enlist(pattern, group, taker);
    this.rouse();
    return () => {
      leave();
      this.rouse();
    };
  }

  close(error: LockError): void {
    if (this.closed) return;
    this.closed = error;
    const takers = [...this.router.all(), ...this.members.values()];
    this.shared?.close();
    for (const lane of this.members.keys()) lane.close();
    this.shared = undefined;
    this.members.clear();
    this.router.clear();
    this.rouse();
    for (const taker of takers) taker.failed(error);
  }

  private join(pattern: string, taker: Taker): () => void {
    const lane = (this.shared ??= this.open());
    if (this.router.add(pattern, taker)) lane.listen(pattern);
    return () => {
      if (!this.router.remove(pattern, taker)) return;
      this.shared?.unlisten(pattern);
      if (this.router.size === 0) this.shared = undefined;
    };
  }

  private open(): ListenerLane {
    const lane = new ListenerLane(this.context, this.backoff(), '', {
      pushed: (push) => {
        for (const taker of this.router.route(push.channel)) taker.signal(push);
      },
      refused: (pattern, error) => this.drop(pattern, error),
      failed: (error) => {
        if (this.shared === lane) this.shared = undefined;
        const takers = this.router.all();
        this.router.clear();
        this.rouse();
        for (const taker of takers) taker.failed(error);
      },
    });
    return lane;
  }

  private drop(pattern: string, error: LockError): void {
    const takers = this.router.of(pattern);
    for (const taker of takers) this.router.remove(pattern, taker);
    if (this.router.size === 0) this.shared = undefined;
    this.rouse();
    for (const taker of takers) taker.failed(error);
  }

  private enlist(pattern: string, group: string, taker: Taker): () => void {
    const end = (error: LockError): void => {
      if (!this.members.delete(lane)) return;
      this.rouse();
      taker.failed(error);
    };
    const lane = new ListenerLane(this.context, this.backoff(), group, {
      pushed: (push) => taker.signal(push),
      refused: (_pattern, error) => end(error),
      failed: end,
    });
    this.members.set(lane, taker);
    lane.listen(pattern);
    return () => {
      if (this.members.delete(lane)) lane.close();
    };
  }

  private rouse(): void {
    if (this.lanes === 0) this.waits.cancel(this.wakefulness);
    else if (this.wakefulness.slot < 0) this.waits.set(this.wakefulness, this.context.clock.now() + FOREVER);
  }
}
