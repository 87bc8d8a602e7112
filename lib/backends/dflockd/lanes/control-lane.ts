import { LockUnavailableError, type LockError } from '../../../common/errors.js';
import type { Request } from '../../../protocol/messages.js';
import type { Backoff } from '../../../common/backoff.js';
import type { Done } from './exchange.js';
import type { LaneContext } from './lane-context.js';
import { ReconnectingLane } from './reconnecting-lane.js';

/**
 * A connection for requests that must not cost a lock. It stays open as long as the command lanes do: a server that
 * shuts down accepts no new connections, and only an existing one can ask it (spec 7).
 */
export class ControlLane {
  private readonly link: ReconnectingLane;

  constructor(context: LaneContext, backoff: Backoff) {
    // A caller that waits for a reply learns from its lane that there will be none.
    this.link = new ReconnectingLane('control', context, backoff, {
      missing: 'no connection for stats, for emitting signals, and for asking whether the server shuts down',
      up: () => undefined,
      down: () => undefined,
    });
  }

  /** Connects unless connected, and reconnects from now on when the lane is lost. */
  keep(): void {
    this.renew();
  }

  /** A lost lane is not replaced until the next request. */
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

  /** Leaves an unusable lane alone, which ends by itself. */
  private renew(): void {
    const { link } = this;
    if (link.isUp && !link.lane!.isUsable) link.replace();
    else link.hurry();
  }
}
