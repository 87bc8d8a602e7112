import { nanos } from '../log/time.js';

/** Does something to each key, some time apart; when, by key. */
export async function eachAfterTheOther(
  keys: readonly string[],
  apartMs: number,
  strike: (key: string, index: number) => Promise<unknown>,
): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>();
  for (const [index, key] of keys.entries()) {
    times.set(key, nanos());
    await strike(key, index);
    await new Promise((resolve) => setTimeout(resolve, apartMs));
  }
  return times;
}
