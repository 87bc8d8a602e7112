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

/** The connections of its own that a backend has to the server of the client. @throws ConfigError */
export function createDriver(given: unknown, settings: DriverSettings): RedisDriver {
  if (typeof given !== 'object' || given === null) throw unknown(given);
  const client = unwrapped(given);
  const fields = client as Fields;
  if (has(fields, 'duplicate', 'nodes', 'connect') && fields.isCluster === true) {
    return new ClusterDriver(new IoredisClusterDialer(client as IoredisCluster), settings);
  }
  if (has(fields, 'duplicate', 'nodeClient')) {
    return new ClusterDriver(new NodeRedisClusterDialer(client as unknown as NodeRedisCluster), settings);
  }
  const dialer = dialerOf(client, fields);
  if (!dialer) throw unknown(client);
  return new PairDriver(dialer, settings);
}

/** What BullMQ puts around a client of node-redis. */
function unwrapped(client: object): object {
  const { raw } = client as { raw?: unknown };
  const isWrapper = has(client as Fields, 'runCommand') && typeof raw === 'object' && raw !== null;
  return isWrapper ? raw : client;
}

function dialerOf(client: object, fields: Fields): ConstructorParameters<typeof PairDriver>[0] | undefined {
  if (has(fields, 'duplicate', 'call', 'connect', 'disconnect', 'ssubscribe') && typeof fields.status === 'string') {
    return new IoredisDialer(client as unknown as Ioredis);
  }
  if (has(fields, 'getMasterNode', 'getSentinelNode', '_execute')) {
    return new NodeRedisSentinelDialer(client as NodeRedisSentinel);
  }
  if (has(fields, 'duplicate', 'sendCommand', 'sSubscribe', 'connect') && typeof fields.isOpen === 'boolean') {
    return new NodeRedisDialer(client as unknown as NodeRedis);
  }
  if (has(fields, 'execute', 'sendCommand') && typeof fields.totalClients === 'number') {
    return new NodeRedisPoolDialer(client as NodeRedisPool);
  }
  return undefined;
}

function unknown(client: unknown): ConfigError {
  return new ConfigError(`redisBackend: expected ${LIBRARIES}, got ${kindOf(client)}${cureOf(client)}`);
}

/** What to write instead of what is given by mistake. */
function cureOf(client: unknown): string {
  if (typeof client === 'string' || client instanceof URL) return '; make a client for the URL and give that';
  if (typeof client === 'function') return '; give a client, not what makes it';
  if (typeof client !== 'object' || client === null) return '';
  const fields = client as Fields;
  // `createClient(…).connect()` of node-redis, `queue.client` of BullMQ.
  if (has(fields, 'then')) return '; await it first';
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
