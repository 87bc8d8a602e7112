import * as ioredis6 from 'ioredis';
import * as ioredis5 from 'ioredis5';
import * as redis6 from 'redis';
import * as redis4 from 'redis4';
import * as redis5 from 'redis5';
import type { RedisClient } from '../../../lib/entries/redis.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where a client is to go. */
export interface RedisPlace {
  readonly one?: Address | undefined;
  readonly sentinels?: { readonly name: string; readonly addresses: Address[] } | undefined;
  readonly cluster?: Address[] | undefined;
}

type Make = (place: RedisPlace) => RedisClient;

const ofIoredis =
  ({ Redis, Cluster }: Pick<typeof ioredis6, 'Redis' | 'Cluster'>, options: object = {}): Make =>
  ({ one, sentinels, cluster }) => {
    if (cluster) return new Cluster(cluster, { lazyConnect: true, redisOptions: options });
    if (sentinels) {
      return new Redis({ sentinels: sentinels.addresses, name: sentinels.name, lazyConnect: true, ...options });
    }
    return new Redis({ ...one!, lazyConnect: true, ...options });
  };

const socketOf = ({ host, port }: Address): { socket: Address } => ({ socket: { host, port } });

const ofRedis =
  (library: Pick<typeof redis6, 'createClient' | 'createCluster' | 'createSentinel'>, options: object = {}): Make =>
  ({ one, sentinels, cluster }) => {
    if (cluster) return library.createCluster({ rootNodes: cluster.map(socketOf), defaults: options });
    if (sentinels) {
      return library.createSentinel({ name: sentinels.name, sentinelRootNodes: sentinels.addresses });
    }
    return library.createClient({ ...socketOf(one!), ...options });
  };

const asSix = (library: unknown): typeof redis6 => library as typeof redis6;

/** The client libraries that are held to the contract, and settings of the user's client that must not matter. */
export const CLIENTS: Readonly<Record<string, Make>> = {
  'ioredis 6': ofIoredis(ioredis6),
  'ioredis 6, RESP3, odd settings': ofIoredis(ioredis6, {
    protocol: 3,
    replyMapping: 'resp3',
    stringNumbers: true,
    enableAutoPipelining: true,
    keyPrefix: 'app:{x}',
    commandTimeout: 1,
  }),
  'ioredis 5': ofIoredis(ioredis5 as unknown as typeof ioredis6, { keyPrefix: 'app:', enableAutoPipelining: true }),
  'redis 6': ofRedis(redis6),
  'redis 6, RESP2': ofRedis(redis6, { RESP: 2, disableOfflineQueue: true }),
  'redis 5, RESP3': ofRedis(asSix(redis5), { RESP: 3 }),
  'redis 5': ofRedis(asSix(redis5)),
  'redis 4': ofRedis(asSix(redis4)),
};
