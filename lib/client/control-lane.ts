import { type Alarm, newAlarm } from '../common/alarms.js';
import type { LockError } from '../common/errors.js';
import type { Request } from '../protocol/messages.js';
import type { Backoff } from './backoff.js';
import type { Done } from './exchange.js';
import { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';

/**
 * A connection for what must not cost a lock. It is there as long as the command lanes are: a server that shuts down
 * takes no new connections, and only an old one can be told so (spec 7).
 */
export class ControlLane {
  private lane: Lane | undefined;
  private closed: LockError | undefined;
  private readonly redial: Alarm = newAlarm(() => this.keep());

  constructor(
    private readonly context: LaneContext,
    private readonly backoff: Backoff,
  ) {}

  /** Connects, if it is not connected; once it is, it is connected again when it is lost. */
  keep(): void {
    if (this.closed) return;
    try {
      this.current();
    } catch {
      // Whoever asks is told.
    }
  }

  /** A lane that is lost is not replaced any more before somebody asks. */
  pause(): void {
    this.context.alarms.cancel(this.redial);
  }

  /** Requests wait for the connection. */
  send(request: Request, done: Done): void {
    if (this.closed) return done(this.closed, 0);
    let lane: Lane;
    try {
      lane = this.current();
    } catch (error) {
      return done(error as LockError, 0);
    }
    lane.send(request, done);
  }

  drain(): void {
    this.lane?.drain();
  }

  destroy(error: LockError): void {
    this.closed ??= error;
    this.pause();
    this.lane?.end(error);
  }

  /** @throws ConfigError for TLS options that Node refuses */
  private current(): Lane {
    const { lane } = this;
    return lane && (lane.isUsable || lane.state === 'connecting') ? lane : (this.lane = this.open());
  }

  private open(): Lane {
    this.pause();
    return new Lane('control', this.context, {
      connected: () => this.backoff.reset(),
      ended: (lane) => this.ended(lane),
    });
  }

  private ended(lane: Lane): void {
    if (this.lane !== lane) return;
    this.lane = undefined;
    const { alarms, clock } = this.context;
    if (!this.closed) alarms.set(this.redial, clock.now() + Math.max(this.backoff.next(), 1));
  }
}
