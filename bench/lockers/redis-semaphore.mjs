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
