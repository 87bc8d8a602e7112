import { createHash } from 'node:crypto';
import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import * as redis6 from 'redis';
import * as redis4 from 'redis4';
import * as redis5 from 'redis5';
import type { DriverListener, RedisDriver } from '../../../../lib/backends/redis/drivers/driver.js';
import { createDriver } from '../../../../lib/backends/redis/drivers/recognise.js';
import type { DriverSettings } from '../../../../lib/backends/redis/drivers/settings.js';
import type { Script } from '../../../../lib/backends/redis/scripts/script.js';
import type { LockError } from '../../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../../lib/common/system.js';
import { ALL_OF_REDIS } from '../../../support/redis/describe-redis.js';
import type { RedisSentinel } from '../../../support/redis/sentinel.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Credentials {
  readonly username?: string;
  readonly password?: string;
}

/** A client library of one major version, and how its clients are made. None of them connects before it is asked to. */
export interface Library {
  readonly name: string;
  client(server: Address, options?: Credentials & Record<string, unknown>): object;
  /** @param options `map`: of the addresses that the nodes name */
  cluster(nodes: readonly Address[], options?: Credentials & { map?: (address: string) => Address }): object;
  /** node-redis 4 has none. */
  sentinel?(
    sentinel: Pick<RedisSentinel, 'addresses' | 'name'>,
    options?: Credentials & Record<string, unknown>,
  ): object;
}

const ioredis = (name: string, Redis: typeof Redis6, Cluster: typeof Cluster6): Library => ({
  name,
  client: ({ host, port }, options = {}) => new Redis({ host, port, lazyConnect: true, ...options }),
  cluster: (nodes, { map, ...options } = {}) =>
    new Cluster([...nodes], { lazyConnect: true, redisOptions: options, ...(map && { natMap: map }) }),
  sentinel: ({ addresses, name: master }, options = {}) =>
    new Redis({ sentinels: addresses, name: master, lazyConnect: true, ...options }),
});

const nodeRedis = (name: string, redis: any): Library => ({
  name,
  client: ({ host, port }, { username, password, ...options } = {}) =>
    redis.createClient({ username, password, ...options, socket: { host, port, ...(options.socket as object) } }),
  cluster: (nodes, { map, ...options } = {}) =>
    redis.createCluster({
      nodeAddressMap: map,
      rootNodes: nodes.map(({ host, port }) => ({ socket: { host, port } })),
      defaults: options,
    }),
  ...(redis.createSentinel && {
    sentinel: ({ addresses, name: master }, options = {}) =>
      redis.createSentinel({
        name: master,
        sentinelRootNodes: addresses,
        nodeClientOptions: options,
        sentinelClientOptions: { socket: (options as { socket?: object }).socket },
      }),
  }),
});

export const LIBRARIES: readonly Library[] = [
  ioredis('ioredis 5', Redis5 as unknown as typeof Redis6, Cluster5 as unknown as typeof Cluster6),
  ioredis('ioredis 6', Redis6, Cluster6),
  nodeRedis('redis 4', redis4),
  nodeRedis('redis 5', redis5),
  nodeRedis('redis 6', redis6),
];

export const NEWEST = LIBRARIES.filter(({ name }) => name.endsWith('6'));

/** The newest versions; all of them in `npm run test:redis`. */
export const TRIED = ALL_OF_REDIS ? LIBRARIES : NEWEST;

export const scriptOf = (source: string): Script => ({
  name: 'test',
  source,
  sha1: createHash('sha1').update(source).digest('hex'),
});

export const ECHO = scriptOf('return {KEYS[1], ARGV[1], 7}');

/** Says what it was told, in order. */
export class Listener implements DriverListener {
  readonly events: string[] = [];
  readonly errors: LockError[] = [];
  readonly changed: (readonly string[] | undefined)[] = [];
  up(): void {
    this.events.push('up');
  }
  down(error: LockError): void {
    this.events.push('down');
    this.errors.push(error);
  }
  subscribed(channel: string): void {
    this.events.push(`subscribed ${channel}`);
  }
  message(channel: string, text: string): void {
    this.events.push(`${channel}: ${text}`);
  }
  invalidated(keys: readonly string[] | undefined): void {
    this.changed.push(keys);
  }
  count(event: string): number {
    return this.events.filter((each) => each === event).length;
  }
}

const open = new Set<RedisDriver>();

export function driverOf(client: object, settings: Partial<DriverSettings> = {}): RedisDriver {
  const driver = createDriver(client, {
    clock: systemClock,
    entropy: systemEntropy,
    requestTimeoutMs: 5_000,
    minDelayMs: 50,
    maxDelayMs: 5_000,
    watch: false,
    ...settings,
  });
  open.add(driver);
  return driver;
}

export async function closeAll(): Promise<void> {
  await Promise.all([...open].map((driver) => driver.close()));
  open.clear();
}
