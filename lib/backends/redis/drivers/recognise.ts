import { ConfigError } from '../../../common/errors.js';
import { kindOf } from '../../../common/kind-of.js';
import { ClusterDriver } from './cluster-driver.js';
import type { RedisDriver } from './driver.js';
import { IoredisClusterDialer, IoredisDialer, type Ioredis, type IoredisCluster } from './ioredis.js';
import {
  NodeRedisClusterDialer,
  NodeRedisPoolDialer,
  NodeRedisSentinelDialer,
  type NodeRedisCluster,
  type NodeRedisPool,
  type NodeRedisSentinel,
} from './node-redis-topology.js';
import { NodeRedisDialer, type NodeRedis } from './node-redis.js';
import { PairDriver } from './pair-driver.js';
import type { DriverSettings } from './settings.js';

/**
 * A client of ioredis 5 or newer (`Redis`, with or without Sentinels, or `Cluster`), or of node-redis 4 or newer
 * (`createClient`, `createCluster`, `createSentinel`, `createClientPool`). It need not be connected, except for a pool and the
 * Sentinel client of node-redis 5.
 */
export type RedisClient =
  | { readonly options?: object | undefined; duplicate(...args: never[]): unknown }
  | { readonly totalClients: number; execute(...args: never[]): unknown }
  | { getMasterNode(): unknown; getSentinelNode(): unknown };

const LIBRARIES = 'a client of ioredis (5 or newer) or of the package redis (node-redis, 4 or newer)';

type Fields = Readonly<Record<string, unknown>>;

const has = (client: Fields, ...methods: readonly string[]): boolean =>
  methods.every((name) => typeof client[name] === 'function');

/** A client and which of them it is. */
export type KnownClient =
  | { readonly shape: 'ioredis'; readonly client: Ioredis }
  | { readonly shape: 'ioredis-cluster'; readonly client: IoredisCluster }
  | { readonly shape: 'node-redis'; readonly client: NodeRedis }
  | { readonly shape: 'node-redis-cluster'; readonly client: NodeRedisCluster }
  | { readonly shape: 'node-redis-pool'; readonly client: NodeRedisPool }
  | { readonly shape: 'node-redis-sentinel'; readonly client: NodeRedisSentinel };

/** @param where what the client was given to, for the message @throws ConfigError */
export function recognise(where: string, given: unknown): KnownClient {
  if (typeof given === 'object' && given !== null) {
    const client = unwrapped(given);
    const shape = shapeOf(client as Fields);
    if (shape) return { shape, client } as KnownClient;
  }
  throw new ConfigError(`${where}: expected ${LIBRARIES}, got ${kindOf(given)}${cureOf(given)}`);
}

/** What BullMQ puts around a client of node-redis. */
function unwrapped(client: object): object {
  const { raw } = client as { raw?: unknown };
  const isWrapper = has(client as Fields, 'runCommand') && typeof raw === 'object' && raw !== null;
  return isWrapper ? raw : client;
}

function shapeOf(client: Fields): KnownClient['shape'] | undefined {
  if (has(client, 'duplicate', 'nodes', 'connect') && client.isCluster === true) return 'ioredis-cluster';
  if (has(client, 'duplicate', 'nodeClient')) return 'node-redis-cluster';
  if (has(client, 'duplicate', 'call', 'connect', 'disconnect', 'ssubscribe') && typeof client.status === 'string') {
    return 'ioredis';
  }
  if (has(client, 'getMasterNode', 'getSentinelNode', '_execute')) return 'node-redis-sentinel';
  if (has(client, 'duplicate', 'sendCommand', 'sSubscribe', 'connect') && typeof client.isOpen === 'boolean') {
    return 'node-redis';
  }
  if (has(client, 'execute', 'sendCommand') && typeof client.totalClients === 'number') return 'node-redis-pool';
  return undefined;
}

/** The connections of its own that a backend has to the server of the client. @throws ConfigError */
export function createDriver(given: unknown, settings: DriverSettings): RedisDriver {
  const known = recognise('redisBackend', given);
  switch (known.shape) {
    case 'ioredis':
      return new PairDriver(new IoredisDialer(known.client), settings);
    case 'ioredis-cluster':
      return new ClusterDriver(new IoredisClusterDialer(known.client), settings);
    case 'node-redis':
      return new PairDriver(new NodeRedisDialer(known.client), settings);
    case 'node-redis-cluster':
      return new ClusterDriver(new NodeRedisClusterDialer(known.client), settings);
    case 'node-redis-pool':
      return new PairDriver(new NodeRedisPoolDialer(known.client), settings);
    case 'node-redis-sentinel':
      return new PairDriver(new NodeRedisSentinelDialer(known.client), settings);
  }
}

/** What to write instead of what is given by mistake. */
function cureOf(client: unknown): string {
  if (typeof client === 'string' || client instanceof URL) return '; make a client for the URL and give that';
  if (typeof client === 'function') return '; give a client, not what makes it';
  if (typeof client !== 'object' || client === null) return '';
  const fields = client as Fields;
  // `createClient(…).connect()` of node-redis, `queue.client` of BullMQ.
  if (has(fields, 'then')) return '; await it first';
  if (fields.isPipeline === true) return '; give the client itself';
  // node-redis 3, ioredis 4.
  if (has(fields, 'send_command')) return '; that is version 3 of the package redis: install version 4 or newer';
  if (has(fields, 'duplicate', 'call')) return '; that is an ioredis before version 5: install a newer one';
  // Queue and Worker of BullMQ 6.
  if (has(fields, 'getBackend')) return '; give `await it.getBackend().client` instead';
  // KeyvRedis and other stores of cache managers; Queue and Worker of BullMQ before version 6.
  if ('client' in fields) return '; give its `client` instead, awaited where that is a promise';
  if ('connection' in fields || 'redis' in fields) return '; give the client inside it';
  return typeof fields.host === 'string' || typeof fields.url === 'string'
    ? '; those are options: make a client with them and give that'
    : '';
}
