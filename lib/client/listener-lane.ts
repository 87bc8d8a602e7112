import { type Alarm, newAlarm } from '../common/alarms.js';
import { AuthError, ConfigError, LockError, UnsupportedError } from '../common/errors.js';
import type { Push } from '../protocol/messages.js';
import { parsePush } from '../protocol/reply-decoder.js';
import type { Backoff } from './backoff.js';
import { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';

export interface ListenerHooks {
  /** Must not throw. */
  pushed(push: Push): void;
  /** The server will not have this subscription; it has been forgotten. */
  refused(pattern: string, error: LockError): void;
  /** No connection can ever be had. */
  failed(error: LockError): void;
}

/**
 * A connection that listens, made again whenever it is lost, with all its subscriptions: what was published meanwhile is
 * lost (spec 6.3). It owns nothing: who listens too slowly is disconnected (spec 6.4).
 */
export class ListenerLane {
  private lane: Lane | undefined;
  private readonly patterns = new Set<string>();
  private everUp = false;
  private closed = false;
  private readonly redial: Alarm = newAlarm(() => this.dial());

  /** @param group of all its patterns; empty: none */
  constructor(
    private readonly context: LaneContext,
    private readonly backoff: Backoff,
    private readonly group: string,
    private readonly hooks: ListenerHooks,
  ) {}

  listen(pattern: string): void {
    this.patterns.add(pattern);
    if (this.lane) this.send(this.lane, pattern);
    else if (this.redial.slot < 0) this.dial();
  }

  /** Without any pattern the connection ends. */
  unlisten(pattern: string): void {
    if (!this.patterns.delete(pattern)) return;
    const { group } = this;
    if (this.patterns.size === 0) this.hangUp();
    else this.lane?.send({ t: 'unlisten', pattern, group }, () => undefined);
  }

  close(): void {
    this.closed = true;
    this.patterns.clear();
    this.hangUp();
  }

  private hangUp(): void {
    this.context.alarms.cancel(this.redial);
    const { lane } = this;
    this.lane = undefined;
    lane?.end(new LockError('nobody listens any more'));
  }

  /** What is asked waits for the connection. */
  private dial(): void {
    let lane: Lane;
    try {
      lane = new Lane('listener', this.context, {
        connected: () => {
          this.everUp = true;
          this.backoff.reset();
        },
        pushed: (line) => {
          const push = parsePush(line);
          if (push) this.hooks.pushed(push);
        },
        ended: (ended, error) => this.ended(ended, error),
      });
    } catch (error) {
      return this.hooks.failed(error as LockError);
    }
    this.lane = lane;
    for (const pattern of this.patterns) this.send(lane, pattern);
  }

  private send(lane: Lane, pattern: string): void {
    lane.send({ t: 'listen', pattern, group: this.group }, (outcome) => {
      // A lane that ends is followed by another.
      if (outcome instanceof LockError || outcome.s === 'ok' || lane !== this.lane) return;
      if (!this.patterns.delete(pattern)) return;
      const { server } = lane;
      if (this.patterns.size === 0) this.hangUp();
      this.hooks.refused(
        pattern,
        new UnsupportedError(
          `${server} refuses to listen: it has no signals (dflockd 1.11 to 1.16 have), or as many subscriptions as its flag --max-subscriptions allows`,
          { server },
        ),
      );
    });
  }

  private ended(lane: Lane, error: LockError): void {
    if (lane !== this.lane || this.closed) return;
    this.lane = undefined;
    // Time does not heal these; but where TLS has worked once, it may again.
    if (error instanceof AuthError || (error instanceof ConfigError && !this.everUp)) {
      this.patterns.clear();
      return this.hooks.failed(error);
    }
    const { alarms, clock } = this.context;
    alarms.set(this.redial, clock.now() + Math.max(this.backoff.next(), 1));
  }
}
