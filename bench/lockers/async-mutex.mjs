import { Mutex } from 'async-mutex';

export async function open() {
  const mutexes = new Map();
  return async (key, deadline) => {
    let mutex = mutexes.get(key);
    if (!mutex) mutexes.set(key, (mutex = new Mutex()));
    let pairs = 0;
    do {
      const release = await mutex.acquire();
      release();
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}
