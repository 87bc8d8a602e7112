import { Cluster as Cluster6 } from 'ioredis';
import { Cluster as Cluster5 } from 'ioredis5';
import * as redis6 from 'redis';
import * as redis4 from 'redis4';
import * as redis5 from 'redis5';
import type { RedisClient } from '../../../../lib/backends/redis/drivers/recognise.js';
import { LIBRARIES, TRIED, type Library } from '../../redis/drivers/support.js';

export { LIBRARIES, TRIED };

interface Connectable {
  connect(): Promise<unknown>;
  on(event: string, listener: () => void): unknown;
  disconnect(): unknown;
  destroy?(): unknown;
}

/** A client that is connected, as an application has it. */
export interface Connected {
  readonly redis: RedisClient;
  close(): Promise<void>;
}

async function connected(client: object): Promise<Connected> {
  const redis = client as Connectable & RedisClient;
  redis.on('error', () => undefined);
  await redis.connect();
  return {
    redis,
    async close() {
      try {
        await (redis.destroy ? redis.destroy() : redis.disconnect());
      } catch {
        // It has been closed by the test.
      }
    },
  };
}

export const connectTo = (
  library: Library,
  server: { host: string; port: number },
  options: Record<string, unknown> = {},
): Promise<Connected> => connected(library.client(server, options));

/** @param keyPrefix in front of all keys; node-redis has it from version 6 on */
export const connectToCluster = (
  { name }: Library,
  nodes: readonly { host: string; port: number }[],
  keyPrefix = '',
): Promise<Connected> => {
  const options = { lazyConnect: true, keyPrefix };
  if (name === 'ioredis 5') return connected(new Cluster5([...nodes], options));
  if (name === 'ioredis 6') return connected(new Cluster6([...nodes], options));
  const rootNodes = nodes.map((socket) => ({ socket }));
  if (name === 'redis 4') return connected(redis4.createCluster({ rootNodes }));
  if (name === 'redis 5') return connected(redis5.createCluster({ rootNodes }));
  return connected(redis6.createCluster({ rootNodes, ...(keyPrefix && { keyPrefix }) }));
};
