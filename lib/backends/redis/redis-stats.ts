import type { RedisCounts } from './redis-site.js';
import type { ServerInfo } from './probe.js';

/** What `stats()` tells of Redis, and of this client since its start. */
export interface RedisStats extends ServerInfo, Readonly<RedisCounts> {
  /** `host:port`, `name@sentinel` or `cluster`. */
  readonly server: string;
  /** Keys for which callers of this process wait. */
  readonly queues: number;
  /** Callers of this process in the queues of Redis. */
  readonly waiters: number;
  /** Requests that were sent; each may carry several ops. */
  readonly calls: number;
  /** What was done to locks and semaphores, renewals of locks not counted. */
  readonly ops: number;
}
