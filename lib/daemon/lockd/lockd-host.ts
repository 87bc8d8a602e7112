import type { Alarms } from '../../common/alarms.js';
import type { Ms } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import type { ReplyBatch } from '../fairness/reply-batch.js';
import type { RequestScheduler } from '../fairness/request-scheduler.js';
import type { TurnLimiter } from '../fairness/turn-limiter.js';
import type { DaemonLogger } from '../shared/logger.js';

/** What the sessions of this listener share with those of the other listeners of the server. */
export interface LockdHost {
  readonly driver: EngineDriver;
  readonly alarms: Alarms;
  readonly replyBatch: ReplyBatch;
  readonly scheduler: RequestScheduler;
  /** Limits sessions ended per turn. */
  readonly endings: TurnLimiter;
  /** For events that clients cause: at most one line a second per message. */
  readonly log: DaemonLogger;
  /** 0 = none. */
  readonly writeTimeoutMs: Ms;
}
