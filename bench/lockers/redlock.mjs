import { Redis } from 'ioredis';
import Redlock from 'redlock';

const TTL_MS = 30_000;

export async function open({ host, port }) {
  const redlock = new Redlock([new Redis({ host, port })]);
  redlock.on('clientError', (error) => {
    throw error;
  });
  return async (key, deadline) => {
    let pairs = 0;
    do {
      const lock = await redlock.acquire(key, TTL_MS);
      await lock.unlock();
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}
