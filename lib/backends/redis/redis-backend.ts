import { systemClock, systemEntropy } from '../../common/system.js';
import type { BackendFactory, BackendHost } from '../backend.js';
import type { RedisDriver } from './drivers/driver.js';
import { createDriver, type RedisClient } from './drivers/recognise.js';
import { type RedisBackendOptions, resolveRedis } from './options.js';
import { RedisBackend } from './redis.js';
import type { RedisStats } from './redis-stats.js';

/**
 * Locks in the Redis that an application already has. For the option `backend` of a client or of the module.
 *
 * The backend only copies the client's settings. It opens connections of its own: on a standalone server or behind Sentinels, two for
 * each `LockClient`; in a cluster, one for commands to each master, and others for messages. It neither closes the client nor needs it
 * to be connected.
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
  const driver = ({ clock, entropy }: Pick<BackendHost, 'clock' | 'entropy'>): RedisDriver =>
    createDriver(client, { clock, entropy, requestTimeoutMs, ...reconnect, watch });
  // What is no client is refused here, and not when the application starts. Nothing is connected.
  driver({ clock: systemClock, entropy: systemEntropy });
  return (host) => new RedisBackend(config, () => driver(host), host);
}
