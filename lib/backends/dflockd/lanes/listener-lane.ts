import { type Alarm, newAlarm } from '../../../common/alarms.js';
import { LockError, UnsupportedError } from '../../../common/errors.js';
import type { Push } from '../../../protocol/messages.js';
import { parsePush } from '../../../protocol/reply-decoder.js';
import type { Backoff } from '../../../common/backoff.js';
import type { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';
import { ReconnectingLane } from './reconnecting-lane.js';

export interface ListenerHooks {
  /** Must not throw. */
  pushed(push: Push): void;
  /** The server refuses this subscription and never accepted it before; it has been removed. */
  refused(pattern: string, error: LockError): void;
  /** The server has never worked and refuses this client. */
  failed(error: LockError): void;
}

/**
 * A connection for signals, re-established with all its subscriptions whenever it is lost; signals published meanwhile
 * are lost (spec 6.3). It owns nothing, because the server disconnects slow listeners (spec 6.4).
 */
export class ListenerLane {
  private readonly link: ReconnectingLane;
  /** Patterns, and whether the server has ever accepted them. */
  private readonly patterns = new Map<string, { accepted: boolean }>();
  /** Patterns accepted before and refused now; they are requested again on the same connection. */
  private readonly postponed = new Set<string>();
  private readonly again: Alarm = newAlarm(() => this.askAgain());

  /** @param group of all its patterns; empty: none */
  constructor(
    private readonly context: LaneContext,
    private readonly backoff: Backoff,
    private readonly group: string,
    private readonly hooks: ListenerHooks,
  ) {
    this.link = new ReconnectingLane('listener', context, backoff, {
      missing: 'no connection for signals, which are missed until there is one',
      up: (lane) => this.askAll(lane),
      down: (error, final) => this.down(error, final),
      pushed: (line) => {
        const push = parsePush(line);
        if (push) this.hooks.pushed(push);
      },
    });
  }

  listen(pattern: string): void {
    this.patterns.set(pattern, { accepted: false });
    if (this.link.isUp) this.ask(this.link.lane!, pattern);
    else this.link.open();
  }

  /** Removes a pattern. Without any, the connection ends. */
  unlisten(pattern: string): void {
    if (!this.patterns.delete(pattern)) return;
    const { group, link } = this;
    if (this.patterns.size === 0) this.hangUp();
    else if (link.isUp) link.lane!.send({ t: 'unlisten', pattern, group }, () => undefined);
  }

  close(): void {
    this.patterns.clear();
    this.hangUp();
  }

  private hangUp(): void {
    this.stopAsking();
    this.link.drop(new LockError('nobody listens any more'));
  }

  private askAll(lane: Lane): void {
    for (const pattern of this.patterns.keys()) this.ask(lane, pattern);
  }

  private askAgain(): void {
    const { lane } = this.link;
    const again = [...this.postponed].filter((pattern) => this.patterns.has(pattern));
    this.postponed.clear();
    if (lane) for (const pattern of again) this.ask(lane, pattern);
  }

  private stopAsking(): void {
    this.postponed.clear();
    this.context.alarms.cancel(this.again);
  }

  private ask(lane: Lane, pattern: string): void {
    lane.send({ t: 'listen', pattern, group: this.group }, (outcome) => {
      // If the lane has ended, another one follows.
      if (outcome instanceof LockError || lane !== this.link.lane) return;
      const subscription = this.patterns.get(pattern);
      if (!subscription) return;
      if (outcome.s === 'ok') subscription.accepted = true;
      else if (subscription.accepted) this.postpone(lane, pattern);
      else this.forget(lane, pattern);
    });
  }

  /**
   * The server accepted the pattern before. A cap that is reached now, or another daemon at this address, may be
   * temporary.
   */
  private postpone({ server }: Lane, pattern: string): void {
    const { alarms, clock, record } = this.context;
    if (this.postponed.size === 0) {
      record.tell(`${refusal(server)}; it accepted this subscription before, so the client keeps asking`);
      alarms.set(this.again, clock.now() + this.backoff.longest());
    }
    this.postponed.add(pattern);
  }

  private forget({ server }: Lane, pattern: string): void {
    this.patterns.delete(pattern);
    if (this.patterns.size === 0) this.hangUp();
    this.hooks.refused(pattern, new UnsupportedError(refusal(server), { server }));
  }

  private down(error: LockError, final: boolean): void {
    this.stopAsking();
    if (!final) return;
    this.patterns.clear();
    this.hooks.failed(error);
  }
}

const refusal = (server: string): string =>
  `${server} refuses the subscription: it does not support signals (dflockd 1.11 to 1.16 do), or its flag --max-subscriptions is reached`;
