import type { RedisCounts } from './redis-site.js';

/** What `stats()` tells of Redis, and of this client since its start. */
export interface RedisStats extends Readonly<RedisCounts> {
  /** `host:port`, `name@sentinel` or `cluster`. */
  readonly server: string;
  /** Of Redis; of a compatible server, the version of Redis that it names. Of one node, in a cluster. */
  readonly version: string;
  readonly role: 'master' | 'slave';
  /** `maxmemory-policy`, where the server tells it. */
  readonly memoryPolicy: string | undefined;
  readonly connectedReplicas: number | undefined;
  /** Keys for which callers of this process wait. */
  readonly queues: number;
  /** Callers of this process in the queues of Redis. */
  readonly waiters: number;
  /** Requests that were sent; each may carry several ops. */
  readonly calls: number;
  /** What was done to locks and semaphores, renewals of locks not counted. */
  readonly ops: number;
}
