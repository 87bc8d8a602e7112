import { type Alarm, newAlarm } from '../../../common/alarms.js';
import { LockError, UnsupportedError } from '../../../common/errors.js';
import type { Push } from '../../../protocol/messages.js';
import { parsePush } from '../../../protocol/reply-decoder.js';
import type { Backoff } from './backoff.js';
import type { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';
import { ReconnectingLane } from './reconnecting-lane.js';

export interface ListenerHooks {
  /** Must not throw. */
  pushed(push: Push): void;
  /** The server will not have this subscription, and never had it; it has been forgotten. */
  refused(pattern: string, error: LockError): void;
  /** The server, which has never worked, says no. */
  failed(error: LockError): void;
}

/**
 * A connection that listens, made again whenever it is lost, with all its subscriptions: what was published meanwhile is
 * lost (spec 6.3). It owns nothing: who listens too slowly is disconnected (spec 6.4).
 */
export class ListenerLane {
  private readonly link: ReconnectingLane;
  /** And whether the server has ever had them. */
  private readonly patterns = new Map<string, { accepted: boolean }>();
  /** Had once, refused now: asked for again on the same connection. */
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

  /** Without any pattern the connection ends. */
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
      // A lane that ends is followed by another.
      if (outcome instanceof LockError || lane !== this.link.lane) return;
      const subscription = this.patterns.get(pattern);
      if (!subscription) return;
      if (outcome.s === 'ok') subscription.accepted = true;
      else if (subscription.accepted) this.postpone(lane, pattern);
      else this.forget(lane, pattern);
    });
  }

  /** It had been accepted: who is over the cap now, or meets another daemon for a while, need not be so for ever. */
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
  `${server} refuses the subscription: it has no signals (dflockd 1.11 to 1.16 have), or its flag --max-subscriptions is reached`;
