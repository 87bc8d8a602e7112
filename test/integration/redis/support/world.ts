import { Redis } from 'ioredis';
import { redisBackend, type RedisBackendOptions } from '../../../../lib/entries/redis.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { LockHandle } from '../../../../lib/locks/handle/lock-handle.js';
import type { Held, Place } from '../../../faults/redis/holders/holder.js';
import { RedisServer, type RedisOptions } from '../../../support/redis/server.js';

export type { Held, Place };

/** A Redis and the clients of one test; closes what it opened. */
export class RedisWorld {
  private readonly closers: (() => unknown)[] = [];
  server!: RedisServer;

  /** With a server of its own. */
  static async open(options?: RedisOptions): Promise<RedisWorld> {
    const world = new RedisWorld();
    world.server = await RedisServer.start(options);
    world.later(() => world.server.stop());
    return world;
  }

  /** A client of a user. @param place of the server, unless given */
  redis(place: Place = { port: this.server.port }): Redis {
    const redis =
      'port' in place
        ? new Redis({ host: '127.0.0.1', port: place.port })
        : new Redis({ sentinels: [...place.sentinels], name: 'locks' });
    redis.on('error', () => undefined);
    this.later(() => redis.disconnect());
    return redis;
  }

  /** A client of this package on Redis. */
  async client(options: RedisBackendOptions = {}, place?: Place, more = {}): Promise<LockClient<any>> {
    const backend = redisBackend(this.redis(place), options);
    const client = new LockClient({ backend, shutdownTimeoutS: 0.2, renewRatio: 1 / 3, ...more });
    await client.start();
    this.later(() => client.close());
    return client;
  }

  later(close: () => unknown): void {
    this.closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.closers.reverse()) await close();
  }
}

/** Resolves when the holder is told that its lock is lost, with the time of this process. */
export const toldAt = (lock: LockHandle): Promise<number> =>
  new Promise((resolve) => lock.signal.addEventListener('abort', () => resolve(performance.now())));

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
