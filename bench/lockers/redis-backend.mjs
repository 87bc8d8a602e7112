// This package on Redis, over either client library.

import { clientLockers } from './client-lockers.mjs';

const CLIENTS = {
  async ioredis({ host, port }) {
    const { Redis } = await import('ioredis');
    return new Redis({ host, port, lazyConnect: true });
  },
  async redis({ host, port }) {
    const { createClient } = await import('redis');
    return createClient({ socket: { host, port } });
  },
};

/**
 * @param {{ entry: string, redisEntry: string, library: 'ioredis' | 'redis', host: string, port: number }} where
 *   URLs of entries/client.js and entries/redis.js of the build
 */
export async function connect({ entry, redisEntry, library, ...address }) {
  const [{ LockClient }, { redisBackend }] = await Promise.all([import(entry), import(redisEntry)]);
  // The backend duplicates the client and never uses it, so it need not connect.
  return LockClient.connect({ backend: redisBackend(await CLIENTS[library](address)) });
}

/** The backend by itself, without the client that keeps its leases. @param {{ system: string }} where also: URL of common/system.js */
export async function backendOf({ redisEntry, system, library, ...address }) {
  const [{ redisBackend }, { systemClock, systemEntropy }] = await Promise.all([import(redisEntry), import(system)]);
  const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
  const backend = redisBackend(await CLIENTS[library](address))(host);
  await backend.start();
  return { backend, clock: systemClock };
}

export const { open, openHot } = clientLockers(connect);
