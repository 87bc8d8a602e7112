import { Redis } from 'ioredis';
import { Mutex } from 'redis-semaphore';

export async function open({ host, port }) {
  const redis = new Redis({ host, port });
  return async (key, deadline) => {
    const mutex = new Mutex(redis, key);
    let pairs = 0;
    do {
      await mutex.acquire();
      await mutex.release();
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}

const PATIENCE_MS = 600_000;

/** With its usual interval between attempts, and as much time as it takes. */
export async function openHot({ host, port }) {
  const redis = new Redis({ host, port });
  return async (key) => {
    const mutex = new Mutex(redis, key, { acquireTimeout: PATIENCE_MS });
    await mutex.acquire();
    return () => mutex.release();
  };
}
