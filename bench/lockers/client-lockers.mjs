/**
 * What callers do with this package, through its public API.
 *
 * @template W
 * @param {(where: W) => Promise<import('../../lib/entries/client.js').LockClient>} connect
 */
export const clientLockers = (connect) => ({
  /** Callers that acquire and release until a deadline. @param {W} where */
  async open(where) {
    const client = await connect(where);
    return async (key, deadline) => {
      let pairs = 0;
      do {
        const lock = await client.acquire(key);
        await lock.release();
        pairs++;
      } while (!deadline.passed);
      return pairs;
    };
  },

  /** Acquires a key that others want. @param {W} where @returns how to release it */
  async openHot(where) {
    const client = await connect(where);
    return async (key) => {
      const lock = await client.acquire(key);
      return () => lock.release();
    };
  },
});
