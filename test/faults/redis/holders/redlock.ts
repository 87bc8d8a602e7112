import { Redlock } from '@sesamecare-oss/redlock';
import { clientAt, type Held, type Holder, type Place } from './holder.js';

/** @sesamecare-oss/redlock with its defaults: `using` renews 500 ms before the end of the lease. */
export function holder(place: Place, leaseMs: number): Holder {
  const redis = clientAt(place);
  const redlock = new Redlock([redis]);
  redlock.on('error', () => undefined);
  let leave!: () => void;
  const left = new Promise<void>((resolve) => (leave = resolve));
  return {
    hold: (key) =>
      new Promise<Held>((resolve, reject) => {
        const work = redlock.using([key], leaseMs, async (signal) => {
          resolve({
            believes: () => !signal.aborted,
            onLost: (told) => signal.addEventListener('abort', told),
          });
          await left;
        });
        work.catch(reject);
      }),
    async close() {
      leave();
      redis.disconnect();
    },
  };
}
