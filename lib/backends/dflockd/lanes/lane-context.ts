import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Target } from './connector.js';
import type { WatchContext } from './lane-timers.js';
import type { DrainProbe } from './drain-probe.js';
import type { ServerRecord } from './server-record.js';

/**
 * command: shared, pipelined, never blocks. wait: one blocking acquire, then what belongs to the lock it got. control:
 * stats, signals to be sent and probes; owns nothing, because a long answer may cost it. listener: gets signals; owns
 * nothing, because who listens too slowly is disconnected.
 */
export type Role = 'command' | 'wait' | 'control' | 'listener';

/** Its alarms do not keep the process alive. */
export interface LaneContext extends WatchContext {
  readonly target: Target;
  readonly record: ServerRecord;
  /** Asked before a lane that owns grants says something of its own accord (rule 9). */
  readonly drainProbe: Pick<DrainProbe, 'beforeOwnerSpeaks'>;
  /** The server shuts down. Told before anybody else. */
  readonly drained: () => void;
  /** The server has closed a connection because nothing was said for so long (spec 1.5). */
  readonly silenced: (silence: Ms) => void;
  /** A lane has ended; after its own hooks. */
  readonly laneEnded: () => void;
}

/** Called by the lane in the turn in which it happens. */
export interface LaneHooks<Lane> {
  connected?(lane: Lane): void;
  /** Nothing is outstanding and nothing is owned. */
  freed?(lane: Lane): void;
  /** It is of no use for new work for some time, or for ever: an answer is overdue, or its server shuts down. */
  doubted?(lane: Lane): void;
  /** It can be used again. */
  trusted?(lane: Lane): void;
  /** The line of a signal, to a listener. Must not throw. */
  pushed?(line: string): void;
  ended(lane: Lane, error: LockError): void;
}
