// How much memory a process uses that was started with --expose-gc.

/** What a collection leaves, in bytes: the second takes what finalizers of the first have let go. */
export async function inUse() {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
