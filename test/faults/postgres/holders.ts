import { LockClient } from '../../../lib/entries/client.js';
import { nanos } from '../log/time.js';
import type { Held, Holder } from '../processes/beliefs.js';
import { backendAt } from './backend.js';

/** A program with a client of its own, which reaches Postgres at a port of this machine. */
export async function holderAt(port: number, sessionTimeoutMs: number): Promise<Holder> {
  const backend = backendAt(port, { sessionTimeoutMs, requestTimeoutMs: sessionTimeoutMs / 2 });
  const client = new LockClient<any>({ backend, shutdownTimeoutS: 0.5 });
  let connectedAt: number | undefined;
  client.notices$.subscribe(({ type }) => {
    if (type === 'connected') connectedAt = nanos();
  });
  await client.start();
  return {
    connectedAt: () => connectedAt,
    async hold(key): Promise<Held> {
      const lock = await client.acquire(key, { acquireTimeoutS: 60 });
      return {
        fence: lock.fence!,
        believes: () => lock.isHeld,
        onLost: (told) => lock.signal.addEventListener('abort', told),
      };
    },
    close: () => client.close(),
  };
}
