import type { Ms } from '../../common/system.js';
import type { ContainedSessionHost } from '../fairness/contained-session.js';
import type { TurnLimiter } from '../fairness/turn-limiter.js';
import type { SignalMemory } from '../fairness/signal-memory.js';
import type { StatsDesk } from '../fairness/stats-desk.js';

/** What all sessions of a listener share. */
export interface SessionHost extends ContainedSessionHost {
  /** Limits listeners written to per turn. */
  readonly pushes: TurnLimiter;
  readonly stats: StatsDesk;
  readonly signalMemory: SignalMemory;
  readonly readTimeoutMs: Ms;
  /** 0 = none. */
  readonly writeTimeoutMs: Ms;
  readonly autoRelease: boolean;
  /** Undefined: no authentication. */
  readonly authToken: Buffer | undefined;
}
