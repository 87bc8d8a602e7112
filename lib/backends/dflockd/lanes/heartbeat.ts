import type { Ms } from '../../../common/system.js';
import type { Request } from '../../../protocol/messages.js';
import type { DrainProbe } from './drain-probe.js';
import type { Exchange } from './exchange.js';

/** Heartbeats of an idle lane per read timeout of the server. */
const BEATS_PER_READ_TIMEOUT = 3;

/** What the heartbeat of a lane depends on. */
export interface Beating {
  /** The oldest request without a reply. */
  readonly oldest: Exchange | undefined;
  /** Time of the last write. */
  readonly lastSend: Ms;
  /** Whether to keep the lane although it is idle. */
  readonly stays: boolean;
  beat(): void;
}

export interface HeartbeatContext {
  /** The server closes a connection after this much silence, as far as is known; may become shorter. */
  readonly readTimeoutMs: Ms;
}

/**
 * Pings the server over an idle lane, since it closes silent connections (spec 1.5). 1.10 replies `error` to a ping,
 * which proves as much; one more ping follows.
 */
export class Heartbeat {
  /** When the last one was requested; it may be sent later. */
  private lastBeat: Ms = -Infinity;

  constructor(
    private readonly lane: Beating,
    private readonly context: HeartbeatContext,
  ) {}

  /** When the next one is due; Infinity while a reply is outstanding. */
  get beatAt(): Ms {
    const { stays, oldest, lastSend } = this.lane;
    if (!stays || oldest) return Infinity;
    return Math.max(lastSend, this.lastBeat) + this.context.readTimeoutMs / BEATS_PER_READ_TIMEOUT;
  }

  beatIfDue(now: Ms): void {
    if (this.beatAt > now) return;
    this.lastBeat = now;
    this.lane.beat();
  }
}

/** A lane, as far as sending a heartbeat goes. */
interface Pinging {
  readonly isUsable: boolean;
  readonly grants: number;
  send(request: Request, done: () => void): unknown;
}

const nothing = (): void => undefined;

/** A lane that owns grants pings after the probe: it would lose them on a draining server (rule 9). */
export function sendHeartbeat(lane: Pinging, drainProbe: Pick<DrainProbe, 'beforeOwnerSpeaks'>): void {
  const ping = (): unknown => lane.isUsable && lane.send({ t: 'ping' }, nothing);
  if (lane.grants === 0) ping();
  else drainProbe.beforeOwnerSpeaks((error) => error ?? ping());
}
