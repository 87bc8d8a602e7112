import { newAlarm } from '../common/alarms.js';
import { LockError, LockUnavailableError } from '../common/errors.js';
import type { Ms } from '../common/system.js';
import type { Request } from '../protocol/messages.js';
import type { Done } from './exchange.js';
import { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';

const KEEP_MS: Ms = 2000;

/** A connection for what must not cost a lock: opened on demand, closed when it has not been needed for a while. */
export class ControlLane {
  private lane: Lane | undefined;
  private closed: LockError | undefined;
  private readonly idle = newAlarm(() => this.lane?.retire(new LockUnavailableError('not needed any more')));

  constructor(private readonly context: LaneContext) {}

  /** Requests wait for the connection. */
  send(request: Request, done: Done): void {
    if (this.closed) return done(this.closed, 0);
    try {
      if (!this.lane || !(this.lane.isUsable || this.lane.state === 'connecting')) this.lane = this.open();
    } catch (error) {
      return done(error as LockError, 0);
    }
    this.context.alarms.cancel(this.idle);
    this.lane.send(request, done);
  }

  destroy(error: LockError): void {
    this.closed ??= error;
    this.context.alarms.cancel(this.idle);
    this.lane?.end(error);
  }

  private open(): Lane {
    return new Lane('control', this.context, {
      freed: () => this.context.alarms.set(this.idle, this.context.clock.now() + KEEP_MS),
      ended: (lane) => {
        if (this.lane !== lane) return;
        this.lane = undefined;
        this.context.alarms.cancel(this.idle);
      },
    });
  }
}
