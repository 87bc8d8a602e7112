import type { LockError } from '../common/errors.js';
import type { Target } from './connector.js';
import type { Lane } from './lane.js';
import type { WatchContext } from './lane-watch.js';

/**
 * command: shared, pipelined, never blocks. wait: one blocking acquire, then what belongs to the lock it got. control:
 * stats; owns nothing, because a long answer may cost it.
 */
export type Role = 'command' | 'wait' | 'control';

/** Its alarms do not keep the process alive. */
export interface LaneContext extends WatchContext {
  readonly target: Target;
  /** A lane has ended; after its own hooks. */
  readonly laneEnded: () => void;
}

/** Called by the lane in the turn in which it happens. */
export interface LaneHooks {
  connected?(lane: Lane): void;
  /** Nothing is outstanding and nothing is owned. */
  freed?(lane: Lane): void;
  /** It has become suspect. */
  doubted?(lane: Lane): void;
  ended(lane: Lane, error: LockError): void;
}
