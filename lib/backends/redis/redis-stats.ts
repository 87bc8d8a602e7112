import type { RedisCounts } from './redis-site.js';

/** What `stats()` reports about Redis and, since its start, about this client. */
export interface RedisStats extends Readonly<RedisCounts> {
  /** `host:port`, `name@sentinel` or `cluster`. */
  readonly server: string;
  /** The version of Redis or, of a compatible server, the Redis version that it reports. In a cluster, that of one node. */
  readonly version: string;
  readonly role: 'master' | 'slave';
  /** `maxmemory-policy`, if the server reports it. */
  readonly memoryPolicy: string | undefined;
  readonly connectedReplicas: number | undefined;
  /** Keys for which callers of this process wait. */
  readonly queues: number;
  /** Callers of this process in the queues of Redis. */
  readonly waiters: number;
  /** Requests sent; each may carry several operations. */
  readonly calls: number;
  /** Operations on locks and semaphores; renewals of locks are not counted. */
  readonly ops: number;
}
