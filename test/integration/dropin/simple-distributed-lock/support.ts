import type { RedisClient } from '../../../../lib/backends/redis/drivers/recognise.js';
import { LIBRARIES, type Library } from '../../redis/drivers/support.js';

export { LIBRARIES };

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

export const connectToCluster = (
  library: Library,
  nodes: readonly { host: string; port: number }[],
  cluster: object,
): Promise<Connected> => {
  void cluster;
  return connected(library.cluster(nodes));
};
