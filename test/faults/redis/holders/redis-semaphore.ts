import { Mutex } from 'redis-semaphore';
import { clientAt, type Held, type Holder, type Place } from './holder.js';

/** redis-semaphore with its defaults: it renews after 0.8 of the lease. */
export function holder(place: Place, leaseMs: number): Holder {
  const redis = clientAt(place);
  return {
    async hold(key): Promise<Held> {
      let told: (() => void) | undefined;
      const mutex = new Mutex(redis, key, { lockTimeout: leaseMs, onLockLost: () => told?.() });
      await mutex.acquire();
      return { believes: () => mutex.isAcquired, onLost: (fn) => (told = fn) };
    },
    close: async () => redis.disconnect(),
  };
}
