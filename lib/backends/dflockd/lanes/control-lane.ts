import { LockUnavailableError, type LockError } from '../../../common/errors.js';
import type { Request } from '../../../protocol/messages.js';
import type { Backoff } from './backoff.js';
import type { Done } from './exchange.js';
import type { LaneContext } from './lane-context.js';
import { ReconnectingLane } from './reconnecting-lane.js';

/**
 * A connection for what must not cost a lock. It is there as long as the command lanes are: a server that shuts down
 * takes no new connections, and only an old one can be told so (spec 7).
 */
export class ControlLane {
  private readonly link: ReconnectingLane;

  constructor(context: LaneContext, backoff: Backoff) {
    // Whoever waits for an answer learns from its lane that there will be none.
    this.link = new ReconnectingLane('control', context, backoff, {
      missing: 'no connection for stats, for emitting signals, and for asking whether the server shuts down',
      up: () => undefined,
      down: () => undefined,
    });
  }

  /** Connects, if it is not connected; once it is, it is connected again when it is lost. */
  keep(): void {
    this.renew();
  }

  /** A lane that is lost is not replaced any more before somebody asks. */
  pause(): void {
    this.link.pause();
  }

  /** Requests wait for the connection. */
  send(request: Request, done: Done): void {
    this.renew();
    const { link } = this;
    if (link.lane) link.lane.send(request, done);
    else done(link.error ?? new LockUnavailableError('no connection'), 0);
  }

  drain(): void {
    this.link.lane?.drain();
  }

  destroy(error: LockError): void {
    this.link.close(error);
    this.link.lane?.end(error);
  }

  /** A lane that cannot be used is left alone: it ends by itself. */
  private renew(): void {
    const { link } = this;
    if (link.isUp && !link.lane!.isUsable) link.replace();
    else link.hurry();
  }
}
