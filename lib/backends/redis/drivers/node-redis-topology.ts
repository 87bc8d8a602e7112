import {
  type ClusterDialer,
  type ClusterNodes,
  type Connection,
  type ConnectionEvents,
  type Dialer,
  type Endpoint,
  prefixOf,
} from './connection.js';
import {
  connectTimeoutOf,
  destroyed,
  NodeRedisConnection,
  NodeRedisDialer,
  notConnected,
  quietSocket,
  type NodeRedis,
  type NodeRedisOptions,
  type Source,
} from './node-redis.js';

/** What this driver uses of `createClientPool()`. */
export interface NodeRedisPool {
  /** From version 6 on. */
  readonly _keyPrefix?: string | Buffer | undefined;
  readonly totalClients: number;
  readonly isOpen: boolean;
  execute<T>(fn: (client: NodeRedis) => Promise<T>): Promise<T>;
}

/** What it uses of `createSentinel()`. */
export interface NodeRedisSentinel {
  /** From version 6 on. */
  readonly _keyPrefix?: string | Buffer | undefined;
  readonly isOpen: boolean;
  /** From version 6. */
  duplicate?(override: object): NodeRedisSentinel;
  connect(): Promise<unknown>;
  destroy(): Promise<unknown>;
  getMasterNode(): Endpoint | undefined;
  /** Gives the client of the master itself. */
  _execute<T>(isReadonly: boolean, fn: (client: NodeRedis) => Promise<T>): Promise<T>;
  on(event: string, listener: (...args: any[]) => void): unknown;
}

interface SentinelOptions {
  readonly name?: string;
  readonly sentinelRootNodes: readonly Endpoint[];
  readonly nodeClientOptions?: NodeRedisOptions;
  readonly sentinelClientOptions?: NodeRedisOptions;
}

/** What it uses of `createCluster()`. */
export interface NodeRedisCluster {
  /** From version 6 on. */
  readonly _keyPrefix?: string | Buffer | undefined;
  readonly masters: readonly (Endpoint & { readonly address: string })[];
  duplicate(override: object): NodeRedisCluster;
  connect(): Promise<unknown>;
  destroy?(): void;
  disconnect?(): Promise<unknown>;
  nodeClient(node: Endpoint): Promise<NodeRedis> | NodeRedis;
  on(event: string, listener: (...args: any[]) => void): unknown;
}

interface ClusterOptions {
  readonly defaults?: NodeRedisOptions;
  readonly nodeAddressMap?: AddressMap;
}

type AddressMap = ((address: string) => Endpoint | undefined) | Readonly<Record<string, Endpoint>>;

/**
 * The options of a client that keeps them to itself, from version 5 on: `duplicate` hands them to the constructor of the
 * prototype. The client is not touched: node-redis itself lays objects like this one over it. Undefined in version 4.
 */
function optionsOf<T extends object>(client: object): T | undefined {
  const seen: { options?: T } = {};
  const Constructor = function (options: T): void {
    seen.options = options;
  };
  const layer = Object.create(Object.create(client, { constructor: { value: Constructor } }) as object) as {
    duplicate(): unknown;
  };
  try {
    layer.duplicate();
  } catch {
    return undefined;
  }
  return seen.options;
}

/** For clients that only ask: they give up when nothing can be reached, or nobody answers. */
const forQuestions = (options: NodeRedisOptions | undefined): object => {
  const timeoutMs = connectTimeoutOf(options?.socket);
  const timeouts = { connectTimeout: timeoutMs, socketTimeout: timeoutMs };
  return { ...options, socket: quietSocket({ ...options?.socket, reconnectStrategy: false, ...timeouts }) };
};

/** The pool has its clients made with its own options; one of them is duplicated. */
export class NodeRedisPoolDialer implements Dialer {
  readonly writesAtOnce = false;
  readonly isSentinel = false;
  readonly keyPrefix: string;
  readonly server = 'the pool of node-redis';
  readonly timeoutMs = connectTimeoutOf(undefined);

  constructor(private readonly pool: NodeRedisPool) {
    this.keyPrefix = prefixOf(pool._keyPrefix);
  }

  dial(_role: string, events: ConnectionEvents): Connection {
    return new NodeRedisConnection(async () => ({ client: await this.template() }), events);
  }

  private async template(): Promise<NodeRedis> {
    if (!this.pool.isOpen) throw notConnected('a pool of node-redis');
    return this.pool.execute(async (client) => client);
  }
}

export class NodeRedisSentinelDialer implements Dialer {
  readonly writesAtOnce = false;
  readonly isSentinel = true;
  readonly server: string;
  readonly keyPrefix: string;
  readonly timeoutMs: number;
  private readonly options: SentinelOptions | undefined;
  private template: NodeRedis | undefined;
  private attempts = 0;

  constructor(private readonly sentinel: NodeRedisSentinel) {
    this.options = optionsOf<SentinelOptions>(sentinel);
    const { name, nodeClientOptions, sentinelRootNodes = [] } = this.options ?? {};
    this.server = `${name ?? 'master'}@sentinel`;
    this.keyPrefix = prefixOf(sentinel._keyPrefix);
    this.timeoutMs = connectTimeoutOf(nodeClientOptions?.socket) * (sentinelRootNodes.length + 1);
  }

  dial(_role: string, events: ConnectionEvents): Connection {
    return new NodeRedisConnection(this.master, events);
  }

  private readonly master: Source = () => (this.sentinel.duplicate ? this.asked() : this.told());

  /** Version 5 does not say how to make another one: the user's own is asked which server is the master, and sends nothing. */
  private async told(): Promise<Awaited<ReturnType<Source>>> {
    const { sentinel } = this;
    if (!sentinel.isOpen) throw notConnected('the Sentinel client of node-redis 5');
    this.template ??= await sentinel._execute(false, async (client) => client);
    const node = sentinel.getMasterNode();
    if (!node) throw new Error('the Sentinels name no master that is connected');
    return { client: this.template, node };
  }

  /** Asks the Sentinels, by a client that lasts only for the question; the answer is a client for the master of today. */
  private async asked(): Promise<Awaited<ReturnType<Source>>> {
    const { nodeClientOptions, sentinelClientOptions, sentinelRootNodes } = this.options ?? {};
    const first = this.attempts++;
    const probe = this.sentinel.duplicate!({
      ...(this.options && {
        nodeClientOptions: forQuestions(nodeClientOptions),
        sentinelClientOptions: forQuestions(sentinelClientOptions),
      }),
      // One that does not answer is not the first to be asked again.
      ...(sentinelRootNodes && {
        sentinelRootNodes: sentinelRootNodes.map((_, i) => sentinelRootNodes[(i + first) % sentinelRootNodes.length]),
      }),
      maxCommandRediscovers: 0,
      masterPoolSize: 1,
      replicaPoolSize: 0,
      reserveClient: false,
      scanInterval: 0,
      clientSideCache: undefined,
      passthroughClientErrorEvents: false,
    });
    let cause: unknown;
    probe.on('error', (error) => (cause = error));
    probe.on('client-error', (event: { error?: unknown }) => (cause = event.error));
    try {
      await probe.connect();
      return { client: await probe._execute(false, async (client) => client) };
    } catch (error) {
      throw cause ?? error;
    } finally {
      probe.destroy().catch(() => undefined);
    }
  }
}

export class NodeRedisClusterDialer implements ClusterDialer {
  readonly writesAtOnce = false;
  readonly keyPrefix: string;
  readonly timeoutMs: number;
  private readonly options: ClusterOptions | undefined;

  constructor(private readonly cluster: NodeRedisCluster) {
    this.options = optionsOf<ClusterOptions>(cluster);
    this.keyPrefix = prefixOf(cluster._keyPrefix);
    this.timeoutMs = connectTimeoutOf(this.options?.defaults?.socket);
  }

  async find(): Promise<ClusterNodes> {
    const { options } = this;
    const probe = this.cluster.duplicate({
      ...(options && { defaults: forQuestions(options.defaults) }),
      minimizeConnections: true,
      useReplicas: false,
      clientSideCache: undefined,
    });
    let cause: unknown;
    probe.on('error', (error) => (cause = error));
    try {
      await probe.connect();
      const mapped = new Map<string, Endpoint>();
      let template: NodeRedis | undefined;
      for (const master of probe.masters) {
        // Version 4 does not tell how it maps addresses: each of its clients has to be asked.
        if (template && options) break;
        const client = await Promise.resolve(probe.nodeClient(master)).catch(() => undefined);
        if (!client) continue;
        template ??= client;
        const { host, port } = client.options?.socket ?? {};
        if (host !== undefined && port !== undefined) mapped.set(master.address, { host, port });
      }
      if (!template) throw new Error('the cluster has no master that answers');
      const found = template;
      return {
        known: probe.masters.map(({ host, port }) => ({ host, port })),
        dialer: (node) =>
          new NodeRedisDialer(found, this.mapped(node) ?? mapped.get(`${node.host}:${node.port}`) ?? node),
      };
    } catch (error) {
      throw cause ?? error;
    } finally {
      await destroyed(probe as unknown as NodeRedis);
    }
  }

  private mapped(node: Endpoint): Endpoint | undefined {
    const map = this.options?.nodeAddressMap;
    const address = `${node.host}:${node.port}`;
    return typeof map === 'function' ? map(address) : map?.[address];
  }
}
