import type { Alarms } from '../../../common/alarms.js';
import type { Entropy, Ms } from '../../../common/system.js';
import type { EngineDriver } from '../../../core/driver.js';
import type { TurnLimiter } from '../../fairness/turn-limiter.js';
import type { TurnShare } from '../../fairness/turn-share.js';

/** What all sessions over HTTP share. */
export interface HttpSessionHost {
  readonly driver: EngineDriver;
  readonly alarms: Alarms;
  readonly entropy: Entropy;
  /** Limits sessions ended per turn by deadlines. */
  readonly endings: TurnLimiter;
  /** In which answers are given that the engine has brought. */
  readonly share: TurnShare;
  readonly readTimeoutMs: Ms;
  readonly autoRelease: boolean;
  /** 0: sessions are not removed for being idle. */
  readonly idleTimeoutMs: Ms;
  /** 0 = unlimited. */
  readonly maxSessions: number;
  readonly maxSessionsPerIp: number;
}
