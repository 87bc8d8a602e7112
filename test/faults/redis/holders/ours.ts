import { LockClient } from '../../../../lib/entries/client.js';
import { redisBackend } from '../../../../lib/entries/redis.js';
import { nanos } from '../../log/time.js';
import { clientAt, type Held, type Holder, type Place } from './holder.js';

/** This package. It renews after a third of the lease, as the tables say. */
export async function holder(place: Place, leaseMs: number, watch: boolean): Promise<Holder> {
  const redis = clientAt(place, { lazyConnect: true });
  const client = new LockClient({ backend: redisBackend(redis, { watch }), renewRatio: 1 / 3, shutdownTimeoutS: 0.5 });
  let connectedAt: number | undefined;
  client.notices$.subscribe(({ type }) => {
    if (type === 'connected') connectedAt = nanos();
  });
  await client.start();
  return {
    connectedAt: () => connectedAt,
    async hold(key): Promise<Held> {
      const lock = await client.acquire(key, { leaseTtlS: leaseMs / 1000 });
      return {
        fence: lock.fence!,
        believes: () => lock.isHeld,
        onLost: (told) => lock.signal.addEventListener('abort', told),
      };
    },
    async close() {
      await client.close();
      redis.disconnect();
    },
  };
}
