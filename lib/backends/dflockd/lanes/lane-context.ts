import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Target } from './connector.js';
import type { WatchContext } from './lane-timers.js';
import type { DrainProbe } from './drain-probe.js';
import type { ServerRecord } from './server-record.js';

/**
 * command: shared, pipelined, never blocks. wait: one blocking acquire, then the requests of the lock it acquired.
 * control: stats, published signals and probes; owns nothing, because a long reply may end it. listener: receives
 * signals; owns nothing, because the server disconnects slow listeners.
 */
export type Role = 'command' | 'wait' | 'control' | 'listener';

/** Its alarms do not keep the process alive. */
export interface LaneContext extends WatchContext {
  readonly target: Target;
  readonly record: ServerRecord;
  /** Called before a lane that owns grants sends anything on its own initiative (rule 9). */
  readonly drainProbe: Pick<DrainProbe, 'beforeOwnerSpeaks'>;
  /** The server shuts down. Called before any other callback. */
  readonly drained: () => void;
  /** The server closed a connection after this much silence (spec 1.5). */
  readonly silenced: (silence: Ms) => void;
  /** A lane has ended. Called after its own hooks. */
  readonly laneEnded: () => void;
}

/** Called by the lane in the turn of the event. */
export interface LaneHooks<Lane> {
  connected?(lane: Lane): void;
  /** Nothing is in flight, and no grant is owned. */
  freed?(lane: Lane): void;
  /** The lane takes no new work, for a while or for good: a reply is overdue, or its server shuts down. */
  doubted?(lane: Lane): void;
  /** The lane is usable again. */
  trusted?(lane: Lane): void;
  /** A signal's line, for a listener. Must not throw. */
  pushed?(line: string): void;
  ended(lane: Lane, error: LockError): void;
}
