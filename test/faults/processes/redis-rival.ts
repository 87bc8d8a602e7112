/**
 * Wants the keys of others: tries `SET key value NX PX` every 5 ms, whatever package its holder uses. Argument: its place as
 * JSON.
 */
import { nanos } from '../log/time.js';
import { clientAt, type Place } from '../redis/holders/holder.js';
import { serve } from './serve.js';

/** A key in the rival's hands. */
export interface Entry {
  readonly redisKey: string;
  /** Nanoseconds: when it knew. */
  readonly at: number;
}

const TRY_EVERY_MS = 5;
const LEASE_MS = 60_000;

const place = JSON.parse(process.argv[2]!) as Place;
const redis = clientAt(place, { maxRetriesPerRequest: 0, retryStrategy: () => 20, sentinelRetryStrategy: () => 20 });
const wanted = new Set<string>();
const entries: Entry[] = [];
let trying = false;

async function tryAll(): Promise<void> {
  if (trying || wanted.size === 0 || redis.status !== 'ready') return;
  trying = true;
  const keys = [...wanted];
  const pipeline = redis.pipeline();
  for (const key of keys) pipeline.set(key, 'rival', 'PX', LEASE_MS, 'NX');
  try {
    const replies = await pipeline.exec();
    const at = nanos();
    replies?.forEach(([, reply], i) => {
      const redisKey = keys[i]!;
      if (reply === 'OK' && wanted.delete(redisKey)) entries.push({ redisKey, at });
    });
  } catch {
    // The connection ended; the next try goes on.
  } finally {
    trying = false;
  }
}

setInterval(() => void tryAll(), TRY_EVERY_MS);

serve({
  want: (keys: string[]) => keys.forEach((key) => wanted.add(key)),
  entries: () => entries,
  /** Leaves the keys of this package to one who takes them with it; answers with the fences. */
  fences: async (redisKeys: string[], keys: string[]): Promise<string[]> => {
    const { holder } = await import('../redis/holders/ours.js');
    const client = await holder(place, 2000, false);
    await redis.del(...redisKeys);
    const held = await Promise.all(keys.map((key) => client.hold(key)));
    const fences = held.map(({ fence }) => `${fence}`);
    await client.close();
    return fences;
  },
  finish: () => redis.disconnect(),
});
