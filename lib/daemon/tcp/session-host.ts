import type { Alarms } from '../../common/alarms.js';
import type { Ms } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import type { RequestScheduler } from '../fairness/request-scheduler.js';
import type { DaemonLogger } from '../shared/logger.js';
import type { TurnLimiter } from '../fairness/turn-limiter.js';
import type { SignalMemory } from '../fairness/signal-memory.js';
import type { StatsDesk } from '../fairness/stats-desk.js';
import type { ReplyBatch } from '../fairness/reply-batch.js';

/** What all sessions of a listener share. */
export interface SessionHost {
  readonly driver: EngineDriver;
  readonly alarms: Alarms;
  readonly replyBatch: ReplyBatch;
  readonly scheduler: RequestScheduler;
  /** Limits sessions ended per turn, by their peers or by deadlines. */
  readonly endings: TurnLimiter;
  /** Limits listeners written to per turn. */
  readonly pushes: TurnLimiter;
  readonly stats: StatsDesk;
  readonly signalMemory: SignalMemory;
  /** For events that clients cause: at most one line a second per message. */
  readonly log: DaemonLogger;
  readonly readTimeoutMs: Ms;
  /** 0 = none. */
  readonly writeTimeoutMs: Ms;
  readonly autoRelease: boolean;
  /** Undefined: no authentication. */
  readonly authToken: Buffer | undefined;
}
