// The drop-in of this package: one object per caller, and one connection per hold.

/** @param {{ entry: string, host: string, port: number }} where `entry`: URL of the build's entries/client.js */
export async function open({ entry, host, port }) {
  const { DistributedLock } = await import(entry);
  const locks = new Map();
  return async (key, deadline) => {
    let lock = locks.get(key);
    if (!lock) locks.set(key, (lock = new DistributedLock({ key, servers: [[host, port]] })));
    let pairs = 0;
    do {
      if (!(await lock.acquire())) throw new Error(`${key} is busy`);
      await lock.release();
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}
