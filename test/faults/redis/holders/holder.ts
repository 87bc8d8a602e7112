import { Redis, type RedisOptions } from 'ioredis';

export type { Held, Holder } from '../../processes/beliefs.js';

/** Who is compared. `watch`: this package with the option `watch`. */
export const CONTESTANTS = ['ours', 'watch', 'redis-semaphore', 'redlock'] as const;
export type Contestant = (typeof CONTESTANTS)[number];

/** Where a holder finds Redis: at a port of this machine, or through sentinels. */
export type Place = { readonly port: number } | { readonly sentinels: readonly { host: string; port: number }[] };

/** The key in Redis that a package uses for `key`. */
export const redisKey = (contestant: Contestant, key: string): string =>
  ({ ours: `lock:${key}`, watch: `lock:${key}`, 'redis-semaphore': `mutex:${key}`, redlock: key })[contestant];

/** The client of a user, as its documentation shows it. */
export function clientAt(place: Place, more: RedisOptions = {}): Redis {
  const redis =
    'port' in place
      ? new Redis({ host: '127.0.0.1', port: place.port, ...more })
      : new Redis({ sentinels: [...place.sentinels], name: 'locks', ...more });
  redis.on('error', () => undefined);
  return redis;
}
