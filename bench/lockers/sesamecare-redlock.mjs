import { Redis } from 'ioredis';
import { Redlock } from '@sesamecare-oss/redlock';

const TTL_MS = 30_000;

export async function open({ host, port }) {
  const redlock = new Redlock([new Redis({ host, port })]);
  return async (key, deadline) => {
    let pairs = 0;
    do {
      const lock = await redlock.acquire([key], TTL_MS);
      await lock.release();
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}

/** With its usual delay between attempts, and as many attempts as it takes. */
export async function openHot({ host, port }) {
  const redlock = new Redlock([new Redis({ host, port })], { retryCount: -1 });
  return async (key) => {
    const lock = await redlock.acquire([key], TTL_MS);
    return () => lock.release();
  };
}
