import type { Alarms } from '../../common/alarms.js';
import type { Entropy, Ms } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import type { RequestScheduler } from '../fairness/request-scheduler.js';
import type { SignalMemory } from '../fairness/signal-memory.js';
import type { TurnLimiter } from '../fairness/turn-limiter.js';
import type { SparseLog } from '../shared/logger.js';
import type { ResolvedServerOptions } from '../shared/options.js';

/** What the HTTP interface gets from its server. */
export interface HttpDependencies {
  readonly driver: EngineDriver;
  readonly options: ResolvedServerOptions;
  readonly entropy: Entropy;
  readonly alarms: Alarms;
  readonly scheduler: RequestScheduler;
  readonly endings: TurnLimiter;
  readonly pushes: TurnLimiter;
  readonly signalMemory: SignalMemory;
  /** For events that clients cause. */
  readonly log: SparseLog;
  readonly readTimeoutMs: Ms;
  readonly autoRelease: boolean;
  /** Undefined: no authentication. */
  readonly authToken: Buffer | undefined;
  tcpConnections(): number;
  /** Grows whenever a client of the line protocol is served. */
  tcpTurns(): number;
}
