import type { Alarms } from '../../../common/alarms.js';
import type { LoopDelay } from '../../../common/system.js';
import type { EngineDriver } from '../../../core/driver.js';
import type { StatsDesk } from '../../fairness/stats-desk.js';
import type { SparseLog } from '../../shared/logger.js';
import type { ResolvedServerOptions } from '../../shared/options.js';
import type { Exchange } from '../exchange/exchange.js';
import type { EngineMetrics } from '../metrics/engine-metrics.js';
import type { RequestMetrics } from '../metrics/request-metrics.js';
import type { HttpPublisher } from '../sessions/http-publisher.js';
import type { SessionTable } from '../sessions/session-table.js';
import type { StreamHost } from '../streams/signal-stream.js';

/** What endpoints work with. */
export interface EndpointHost {
  readonly driver: EngineDriver;
  readonly options: ResolvedServerOptions;
  readonly sessions: SessionTable;
  readonly publisher: HttpPublisher;
  readonly requests: RequestMetrics;
  readonly engineMetrics: EngineMetrics;
  readonly loopDelay: LoopDelay;
  readonly streams: StreamHost;
  readonly alarms: Alarms;
  /** Reports TCP connections and sessions. */
  readonly stats: StatsDesk;
  /** For events that clients cause. */
  readonly log: SparseLog;
  readonly isDraining: boolean;
  /** TCP connections and sessions. */
  readonly connections: number;
  /** Seconds since HTTP was started. */
  readonly uptimeS: number;
}

/**
 * Serves a request whose route is found and whose client is admitted: answers the exchange, or lets it wait with
 * `waitFor` for something that answers it later and has an end. Everything that uses the engine touches the driver
 * afterwards.
 */
export type Endpoint = (exchange: Exchange, host: EndpointHost) => void;
