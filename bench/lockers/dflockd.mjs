// This package, through its public API.

/** @param {{ entry: string, options: object }} where `entry`: URL of the build's entries/client.js */
export async function open({ entry, options }) {
  const { LockClient } = await import(entry);
  const client = await LockClient.connect(options);
  return async (key, deadline) => {
    let pairs = 0;
    do {
      const lock = await client.acquire(key);
      await lock.release();
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}

/** Acquires a key that others want. @returns how to release it */
export async function openHot({ entry, options }) {
  const { LockClient } = await import(entry);
  const client = await LockClient.connect(options);
  return async (key) => {
    const lock = await client.acquire(key);
    return () => lock.release();
  };
}
