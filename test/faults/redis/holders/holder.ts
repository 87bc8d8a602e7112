import { Redis, type RedisOptions } from 'ioredis';

/** Who is compared. `watch`: this package with the option `watch`. */
export const CONTESTANTS = ['ours', 'watch', 'redis-semaphore', 'redlock'] as const;
export type Contestant = (typeof CONTESTANTS)[number];

/** Where a holder finds Redis: at a port of this machine, or through sentinels. */
export type Place = { readonly port: number } | { readonly sentinels: readonly { host: string; port: number }[] };

/** A lock in the hands of a program. */
export interface Held {
  /** Where the package has fences. */
  readonly fence?: bigint;
  /** What the package says at this moment. */
  believes(): boolean;
  /** Where the package tells of a loss by itself. */
  onLost(told: () => void): void;
}

/** A program with a client of its own. */
export interface Holder {
  hold(key: string): Promise<Held>;
  /** When it was connected last, nanoseconds; of this package alone. */
  connectedAt?(): number | undefined;
  close(): Promise<void>;
}

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
