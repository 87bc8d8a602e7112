import { type Alarm, type Alarms, newAlarm } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import { ChannelRouter } from '../../../protocol/channel-router.js';
import type { Push } from '../../../protocol/messages.js';
import type { Backoff } from '../../../common/backoff.js';
import type { LaneContext } from './lane-context.js';
import { ListenerLane } from './listener-lane.js';

/** A subscriber. Receives byte strings, in the turn in which they arrive; must not throw. */
export interface Listener {
  signal(push: Push): void;
  /** The subscription has ended. */
  failed(error: LockError): void;
}

/** Longer than any timer. */
const FOREVER: Ms = 2 ** 31;

/**
 * All subscribers to one server. Those without a group share a connection, on which the server sends each signal once,
 * however many of its patterns match. Each member of a group has its own connection, because a pushed signal does not
 * name its group.
 */
export class Listeners {
  private readonly router = new ChannelRouter<Listener>();
  private shared: ListenerLane | undefined;
  private readonly members = new Map<ListenerLane, Listener>();
  private closed: LockError | undefined;
  /** Keeps the process alive while there are subscribers, which the connection does not. */
  private readonly wakefulness: Alarm;

  /** @param waits whose alarms keep the process alive */
  constructor(
    private readonly context: LaneContext,
    private readonly backoff: () => Backoff,
    private readonly waits: Alarms,
  ) {
    this.wakefulness = newAlarm((now) => waits.set(this.wakefulness, now + FOREVER));
  }

  /** Number of connections, for tests and diagnosis. */
  get lanes(): number {
    return this.members.size + (this.shared ? 1 : 0);
  }

  /** Returns a function that unsubscribes. */
  subscribe(pattern: string, group: string, listener: Listener): () => void {
    if (this.closed) {
      listener.failed(this.closed);
      return () => undefined;
    }
    const leave = group === '' ? this.join(pattern, listener) : this.enlist(pattern, group, listener);
    this.rouse();
    return () => {
      leave();
      this.rouse();
    };
  }

  close(error: LockError): void {
    if (this.closed) return;
    this.closed = error;
    const listeners = [...this.router.all(), ...this.members.values()];
    this.shared?.close();
    for (const lane of this.members.keys()) lane.close();
    this.shared = undefined;
    this.members.clear();
    this.router.clear();
    this.rouse();
    for (const listener of listeners) listener.failed(error);
  }

  private join(pattern: string, listener: Listener): () => void {
    const lane = (this.shared ??= this.open());
    if (this.router.add(pattern, listener)) lane.listen(pattern);
    return () => {
      if (!this.router.remove(pattern, listener)) return;
      this.shared?.unlisten(pattern);
      if (this.router.size === 0) this.shared = undefined;
    };
  }

  private open(): ListenerLane {
    const lane = new ListenerLane(this.context, this.backoff(), '', {
      pushed: (push) => {
        for (const listener of this.router.route(push.channel)) listener.signal(push);
      },
      refused: (pattern, error) => this.drop(pattern, error),
      failed: (error) => {
        if (this.shared === lane) this.shared = undefined;
        const listeners = this.router.all();
        this.router.clear();
        this.rouse();
        for (const listener of listeners) listener.failed(error);
      },
    });
    return lane;
  }

  private drop(pattern: string, error: LockError): void {
    const listeners = this.router.of(pattern);
    for (const listener of listeners) this.router.remove(pattern, listener);
    if (this.router.size === 0) this.shared = undefined;
    this.rouse();
    for (const listener of listeners) listener.failed(error);
  }

  private enlist(pattern: string, group: string, listener: Listener): () => void {
    const end = (error: LockError): void => {
      if (!this.members.delete(lane)) return;
      this.rouse();
      listener.failed(error);
    };
    const lane = new ListenerLane(this.context, this.backoff(), group, {
      pushed: (push) => listener.signal(push),
      refused: (_pattern, error) => end(error),
      failed: end,
    });
    this.members.set(lane, listener);
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
