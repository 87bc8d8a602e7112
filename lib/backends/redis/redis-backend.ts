import type { BackendFactory } from '../backend.js';
import { createDriver, type RedisClient } from './drivers/recognise.js';
import { type RedisBackendOptions, resolveRedis } from './options.js';
import { RedisBackend } from './redis.js';
import type { RedisStats } from './redis-stats.js';

/**
 * Locks in the Redis that an application already has. For the option `backend` of a client or of the module.
 *
 * The client is only asked for its settings: the backend has connections of its own, two for each `LockClient`, to one server or to
 * the master that Sentinels name; in a cluster, two to each master in whose slots there are locks. It neither closes the client nor
 * needs it to be connected.
 * @param client of ioredis 5 or newer, or of node-redis 4 or newer
 * @throws ConfigError for anything else, and for wrong options
 *
 * @example
 * ```ts
 * DflockdModule.forRoot({ backend: redisBackend(new Redis('redis://localhost:6379')) });
 * ```
 */
export function redisBackend(client: RedisClient, options: RedisBackendOptions = {}): BackendFactory<RedisStats> {
  const config = resolveRedis(options);
  const { requestTimeoutMs, reconnect, watch } = config;
  const factory: BackendFactory<RedisStats> = (host) => {
    const { clock, entropy } = host;
    const dial = () => createDriver(client, { clock, entropy, requestTimeoutMs, ...reconnect, watch });
    return new RedisBackend(config, dial, host);
  };
  return factory;
}
