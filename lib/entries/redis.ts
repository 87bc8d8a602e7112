/** Locks in Redis: `nestjs-dflockd/redis`. */
export type { RedisClient } from '../backends/redis/drivers/recognise.js';
export type { RedisBackendOptions } from '../backends/redis/options.js';
export { redisBackend } from '../backends/redis/redis-backend.js';
export type { RedisStats } from '../backends/redis/redis-stats.js';
export { Lock } from '../dropin/simple-distributed-lock/lock.js';
export type { AcquireOptions, LockOptions } from '../dropin/simple-distributed-lock/options.js';
