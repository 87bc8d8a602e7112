import {
  addressOf,
  type ClusterDialer,
  type ClusterNodes,
  type Connection,
  type ConnectionEvents,
  connectTimeoutOr,
  type Dialer,
  type Endpoint,
  prefixOf,
} from './connection.js';
import { INVALIDATE, invalidatedKeys } from './invalidation.js';

/** What this driver uses of a client of ioredis 5 or newer: `Redis`. */
export interface Ioredis {
  readonly status: string;
  readonly options: IoredisOptions;
  duplicate(override: object): Ioredis;
  connect(): Promise<void>;
  disconnect(): void;
  call(command: string, args: readonly string[]): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  ssubscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  sunsubscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: any[]) => void): unknown;
}

interface Streaming {
  readonly stream: { on(event: 'error', listener: () => void): unknown };
}

interface IoredisOptions {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string | null;
  readonly name?: string | null;
  readonly keyPrefix?: string | Buffer | null;
  readonly connectTimeout?: number;
  readonly sentinels?: readonly object[] | null;
}

/** What it uses of `Cluster`. */
export interface IoredisCluster {
  readonly isCluster: true;
  readonly options: {
    readonly keyPrefix?: string | Buffer | null;
    readonly redisOptions?: IoredisOptions;
    readonly natMap?: NatMap | null;
  };
  duplicate(nodes: undefined, override: object): IoredisCluster;
  connect(): Promise<void>;
  disconnect(): void;
  nodes(role: 'master'): Ioredis[];
  on(event: string, listener: (...args: any[]) => void): unknown;
}

type NatMap = ((address: string) => Endpoint | null | undefined) | Readonly<Record<string, Endpoint>>;

/** ioredis's own default. */
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

/**
 * Whatever the user's client says of prefixes, reply types, retries and queues is not for these connections: they are dropped
 * when they fail, and all that was asked fails with them. RESP2 is spoken by every server and gives every version of ioredis
 * the same replies.
 */
const ownOptions = (timeoutMs: number): object => ({
  lazyConnect: true,
  connectionName: 'nestjs-dflockd',
  keyPrefix: '',
  protocol: 2,
  replyMapping: 'legacy',
  stringNumbers: false,
  enableAutoPipelining: false,
  enableOfflineQueue: true,
  enableReadyCheck: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: () => null,
  reconnectOnError: null,
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
  connectTimeout: timeoutMs,
  disconnectTimeout: 1,
  monitor: false,
  readOnly: false,
  role: 'master',
  scripts: undefined,
  showFriendlyErrorStack: false,
  failoverDetector: false,
  sentinelRetryStrategy: () => null,
  sentinelCommandTimeout: timeoutMs,
});

const connectTimeoutOf = ({ connectTimeout }: IoredisOptions): number =>
  connectTimeoutOr(connectTimeout, DEFAULT_CONNECT_TIMEOUT_MS);

/**
 * Another client with other options, by the method of its class: BullMQ puts a proxy around clients, whose own method knows
 * other parameters.
 */
function duplicateOf<C extends Ioredis | IoredisCluster>(client: C, ...args: Parameters<C['duplicate']>): C {
  const type = Object.getPrototypeOf(client) as { readonly duplicate: (this: C, ...args: unknown[]) => C };
  return type.duplicate.call(client, ...args);
}

export class IoredisDialer implements Dialer {
  readonly writesAtOnce = true;
  readonly server: string;
  readonly keyPrefix: string;
  readonly isSentinel: boolean;
  readonly timeoutMs: number;
  private readonly connectTimeoutMs: number;
  private attempts = 0;

  constructor(
    private readonly client: Ioredis,
    private readonly node?: Endpoint,
  ) {
    const { host = 'localhost', port = 6379, path, sentinels, name, keyPrefix } = client.options;
    this.isSentinel = !node && !!sentinels?.length;
    this.server = node
      ? addressOf(node)
      : this.isSentinel
        ? `${name}@sentinel`
        : (path ?? addressOf({ host, port: Number(port) }));
    this.keyPrefix = prefixOf(keyPrefix);
    this.connectTimeoutMs = connectTimeoutOf(client.options);
    // A Sentinel that is silent costs a timeout before the next one is asked.
    this.timeoutMs = this.connectTimeoutMs * (this.isSentinel ? sentinels!.length + 1 : 1);
  }

  dial(_role: string, events: ConnectionEvents): Connection {
    const { sentinels } = this.client.options;
    const first = this.attempts++;
    const options = {
      ...ownOptions(this.connectTimeoutMs),
      ...(this.node && { host: this.node.host, port: this.node.port, path: undefined, sentinels: null }),
      // One that does not answer is not the first to be asked again.
      ...(this.isSentinel && { sentinels: sentinels!.map((_, i) => sentinels![(i + first) % sentinels!.length]) }),
    };
    return new IoredisConnection(duplicateOf(this.client, options), events);
  }
}

class IoredisConnection implements Connection {
  readonly ready: Promise<void>;
  private readonly ended: Promise<void>;
  private isDestroyed = false;
  private cause: unknown;

  constructor(
    private readonly client: Ioredis,
    private readonly events: ConnectionEvents,
  ) {
    client.on('error', (error) => {
      this.cause ??= error;
      // ioredis listens for the first error of a socket only; another one would be an uncaught exception.
      (client as Partial<Streaming>).stream?.on('error', () => undefined);
    });
    this.ended = new Promise((resolve) => client.on('end', () => resolve()));
    client.on('end', () => this.closed());
    // The slot of a sharded channel is another node's now; ioredis 5 leaves the promise of its SSUBSCRIBE pending.
    client.on('moved', () => this.closed(new Error('MOVED a sharded channel')));
    client.on('message', (channel: string, text: string) => this.message(channel, text));
    client.on('smessage', (channel: string, text: string) => this.message(channel, text));
    this.ready = client.connect().catch((error: unknown) => {
      throw this.cause ?? error;
    });
  }

  call(args: readonly string[]): Promise<unknown> {
    return this.client.call(args[0]!.toLowerCase(), args.slice(1));
  }

  subscribe(channel: string, isSharded: boolean): Promise<unknown> {
    if (channel === INVALIDATE) this.hearInvalidations();
    return isSharded ? this.client.ssubscribe(channel) : this.client.subscribe(channel);
  }

  unsubscribe(channel: string, isSharded: boolean): Promise<unknown> {
    return isSharded ? this.client.sunsubscribe(channel) : this.client.unsubscribe(channel);
  }

  async destroy(): Promise<void> {
    this.isDestroyed = true;
    if (this.client.status === 'end') return;
    this.client.disconnect();
    await this.ended;
  }

  /** Not without need: every message would cost a second event. */
  private hearInvalidations(): void {
    this.client.on('messageBuffer', (channel: Buffer, keys: unknown) => {
      if (channel.toString() === INVALIDATE) this.events.invalidated(invalidatedKeys(keys));
    });
  }

  private message(channel: string, text: string): void {
    if (channel !== INVALIDATE) this.events.message(channel, text);
  }

  private closed(error?: unknown): void {
    if (!this.isDestroyed) this.events.closed(error ?? this.cause ?? new Error('the connection has ended'));
  }
}

export class IoredisClusterDialer implements ClusterDialer {
  readonly writesAtOnce = true;
  readonly keyPrefix: string;
  readonly timeoutMs: number;

  constructor(private readonly cluster: IoredisCluster) {
    const { keyPrefix, redisOptions = {} } = cluster.options;
    this.keyPrefix = prefixOf(keyPrefix || redisOptions.keyPrefix);
    this.timeoutMs = connectTimeoutOf(redisOptions);
  }

  async find(): Promise<ClusterNodes> {
    const probe = duplicateOf(this.cluster, undefined, {
      lazyConnect: true,
      keyPrefix: '',
      clusterRetryStrategy: () => null,
      enableReadyCheck: false,
      shardedSubscribers: false,
      slotsRefreshTimeout: this.timeoutMs,
      slotsRefreshInterval: undefined,
      scripts: undefined,
      // ioredis 5 does not merge them by itself.
      redisOptions: { ...this.cluster.options.redisOptions, ...ownOptions(this.timeoutMs) },
    });
    let cause: unknown;
    probe.on('error', (error) => (cause = error));
    probe.on('node error', (error) => (cause ??= error));
    try {
      await probe.connect();
      const masters = probe.nodes('master');
      const [template] = masters;
      if (!template) throw new Error('the cluster has no master');
      const known = masters.map(({ options: { host, port } }) => ({ host: host!, port: Number(port) }));
      // These have been mapped by ioredis.
      const isMapped = new Set(known.map(addressOf));
      return {
        known,
        dialer: (node) => new IoredisDialer(template, isMapped.has(addressOf(node)) ? node : this.mapped(node)),
      };
    } catch (error) {
      throw cause ?? error;
    } finally {
      probe.disconnect();
    }
  }

  private mapped(node: Endpoint): Endpoint {
    const { natMap } = this.cluster.options;
    const address = `${node.host}:${node.port}`;
    const mapped = typeof natMap === 'function' ? natMap(address) : natMap?.[address];
    return mapped ?? node;
  }
}
