import { ConfigError } from '../../../common/errors.js';
import {
  addressOf,
  type Connection,
  type ConnectionEvents,
  connectTimeoutOr,
  type Dialer,
  type Endpoint,
  prefixOf,
} from './connection.js';
import { INVALIDATE, invalidatedKeys } from './invalidation.js';

type Listener = (message: unknown, channel: string) => void;

/** What this driver uses of a client of node-redis 4 or newer. */
export interface NodeRedis {
  readonly isOpen: boolean;
  readonly options?: NodeRedisOptions | undefined;
  /** From version 6; older ones put nothing in front of keys, whatever their options say. */
  readonly _keyPrefix?: string | Buffer | undefined;
  duplicate(override: object): NodeRedis;
  connect(): Promise<unknown>;
  /** From version 5. */
  destroy?(): void;
  /** Version 4. */
  disconnect?(): Promise<unknown>;
  sendCommand(args: readonly string[]): Promise<unknown>;
  subscribe(channel: string, listener: Listener): Promise<unknown>;
  sSubscribe(channel: string, listener: Listener): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  sUnsubscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: any[]) => void): unknown;
}

export interface NodeRedisOptions {
  readonly socket?: NodeRedisSocket;
}

export interface NodeRedisSocket {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly connectTimeout?: number;
}

/** node-redis's own default. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;

export const connectTimeoutOf = (socket: NodeRedisSocket | undefined): number =>
  connectTimeoutOr(socket?.connectTimeout, DEFAULT_CONNECT_TIMEOUT_MS);

/**
 * Options of a socket whose errors are never uncaught exceptions. node-redis listens for the first one only, and keeps its
 * sockets to itself; with a signal, Node listens as well, for as long as the socket exists.
 */
export const quietSocket = <T extends object>(socket: T): T & { readonly signal: AbortSignal } => ({
  ...socket,
  signal: new AbortController().signal,
});

/**
 * Whatever the user's client says of prefixes, reply types, retries and queues is not for these connections: they are dropped
 * when they fail, and all that was asked fails with them. The socket options of the client have the parts of its URL already.
 */
const ownOptions = (socket: NodeRedisSocket | undefined, node: Endpoint | undefined): object => ({
  url: undefined,
  socket: quietSocket({
    ...socket,
    ...(node && { host: node.host, port: node.port, path: undefined }),
    reconnectStrategy: false,
    connectTimeout: connectTimeoutOf(socket),
    socketTimeout: undefined,
  }),
  name: 'nestjs-dflockd',
  RESP: 2,
  keyPrefix: undefined,
  // 0: without a timer for each command.
  commandOptions: { timeout: 0 },
  disableOfflineQueue: true,
  commandsQueueMaxLength: undefined,
  legacyMode: false,
  readonly: false,
  pingInterval: undefined,
  clientSideCache: undefined,
  emitInvalidate: false,
  maintNotifications: 'disabled',
});

/** Resolves with a client that is not connected by itself: only its class and its options count. */
export type Template = () => Promise<NodeRedis>;

export class NodeRedisDialer implements Dialer {
  readonly writesAtOnce = false;
  readonly isSentinel = false;
  readonly timeoutMs: number;
  readonly server: string;
  readonly keyPrefix: string;

  constructor(
    private readonly client: NodeRedis,
    private readonly node?: Endpoint,
  ) {
    const { socket } = client.options ?? {};
    const { host = 'localhost', port = 6379, path } = socket ?? {};
    this.server = node ? addressOf(node) : (path ?? addressOf({ host, port: Number(port) }));
    this.keyPrefix = prefixOf(client._keyPrefix);
    this.timeoutMs = connectTimeoutOf(socket);
  }

  dial(_role: string, events: ConnectionEvents): Connection {
    return new NodeRedisConnection(async () => ({ client: this.client, node: this.node }), events);
  }
}

/** Gives a client to duplicate, and cleans up. */
export type Source = () => Promise<{ readonly client: NodeRedis; readonly node?: Endpoint | undefined }>;

export class NodeRedisConnection implements Connection {
  readonly ready: Promise<void>;
  private client: NodeRedis | undefined;
  private isDestroyed = false;
  private isClosed = false;

  constructor(
    source: Source,
    private readonly events: ConnectionEvents,
  ) {
    this.ready = this.connect(source);
  }

  call(args: readonly string[]): Promise<unknown> {
    return this.client!.sendCommand(args);
  }

  subscribe(channel: string, isSharded: boolean): Promise<unknown> {
    const { client } = this;
    if (channel === INVALIDATE) {
      return client!.subscribe(channel, (keys) => this.isDestroyed || this.events.invalidated(invalidatedKeys(keys)));
    }
    const listener: Listener = (text) => this.isDestroyed || this.events.message(channel, String(text));
    return isSharded ? client!.sSubscribe(channel, listener) : client!.subscribe(channel, listener);
  }

  unsubscribe(channel: string, isSharded: boolean): Promise<unknown> {
    return isSharded ? this.client!.sUnsubscribe(channel) : this.client!.unsubscribe(channel);
  }

  async destroy(): Promise<void> {
    this.isDestroyed = true;
    // Not while the library reads what has arrived: it would look for the commands that the rest answers.
    await Promise.resolve();
    await destroyed(this.client);
    // Until it has given up, it may still make its socket.
    await this.ready.catch(() => undefined);
    await destroyed(this.client);
  }

  private async connect(source: Source): Promise<void> {
    const { client: template, node } = await source();
    if (this.isDestroyed) throw new Error('not needed any more');
    const client = template.duplicate(ownOptions(template.options?.socket, node));
    this.client = client;
    client.on('error', (error) => this.closed(error));
    client.on('end', () => this.closed(new Error('the connection has ended')));
    client.on('sharded-channel-moved', () => this.closed(new Error('MOVED a sharded channel')));
    await client.connect();
  }

  private closed(error: unknown): void {
    if (this.isDestroyed || this.isClosed) return;
    this.isClosed = true;
    this.events.closed(error);
  }
}

/** Closes a client of any version, whatever state it is in. */
export async function destroyed(client: NodeRedis | undefined): Promise<void> {
  try {
    if (client?.destroy) client.destroy();
    else await client?.disconnect?.();
  } catch {
    // It was not open.
  }
}

export const notConnected = (what: string): ConfigError =>
  new ConfigError(`${what} must be connected before locks are used with it; await its connect() first`);
