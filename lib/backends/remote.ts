import { ServerPool } from '../client/server-pool.js';
import type { RemoteConfig } from '../client/config.js';
import { ConfigError, LockError, ProtocolError, ServerDrainingError, UnsupportedError } from '../common/errors.js';
import type { Clock, Entropy, Ms } from '../common/system.js';
import { fromBytes } from '../protocol/bytes.js';
import { LINE_CAP } from '../protocol/limits.js';
import { shardOf } from '../protocol/shard.js';
import type { AcquireRequest, Capabilities, Grant, LinkEvent, LockBackend, Pending, Proof } from './backend.js';
import { LocalWaiters } from './local-waiters.js';
import { refusal } from './refusal.js';
import { RemoteAcquire } from './remote-acquire.js';
import type { RemoteGrant } from './remote-grant.js';

const CAPABILITIES: Capabilities = Object.freeze({
  ownership: 'connection',
  order: 'strict',
  fence: 'none',
  semaphores: true,
  tickets: false,
  signals: false,
  inspect: 'dump',
  leaseUnitMs: 1000,
  minLeaseMs: 1000,
  waitUnitMs: 1000,
  maxKeyBytes: LINE_CAP,
  keepAfterRelease: false,
});

/** Locks on one or several dflockd servers; several are shards: a key lives on one of them. */
export class RemoteBackend implements LockBackend {
  readonly name = 'dflockd';
  private readonly pools: readonly ServerPool[];
  private readonly waiters: readonly LocalWaiters[];
  private readonly watchers = new Set<(event: LinkEvent) => void>();

  constructor(
    private readonly config: RemoteConfig,
    clock: Clock,
    entropy: Entropy,
  ) {
    const link = (server: string, state: 'up' | 'down', error?: LockError) => this.tell({ server, state, error });
    this.pools = config.endpoints.map((endpoint) => new ServerPool(endpoint, config, clock, entropy, { link }));
    this.waiters = this.pools.map(() => new LocalWaiters());
  }

  /** Connects to every server; after a rejection with LockUnavailableError it goes on trying by itself. */
  async start(): Promise<Capabilities> {
    await Promise.all(this.pools.map((pool) => pool.start()));
    return CAPABILITIES;
  }

  async tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    return this.begin(req, 'try').result;
  }

  enqueue(req: AcquireRequest, mode: 'line' | 'ticket'): Pending {
    if (mode === 'ticket') throw new UnsupportedError('tickets are not supported yet');
    return this.begin(req, 'line');
  }

  renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    return (grant as RemoteGrant).renew(leaseMs);
  }

  release(grant: Grant, keepMs = 0): Promise<'released' | 'gone'> {
    const remote = grant as RemoteGrant;
    return keepMs > 0 ? remote.keep(keepMs) : remote.release();
  }

  abandon(grant: Grant): void {
    (grant as RemoteGrant).abandon();
  }

  async ping(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pingOne(pool)));
  }

  stats(): Promise<unknown[]> {
    return Promise.all(this.pools.map((pool) => statsOf(pool)));
  }

  onLink(callback: (event: LinkEvent) => void): () => void {
    this.watchers.add(callback);
    return () => this.watchers.delete(callback);
  }

  /** Connections to each server, for tests and diagnosis. */
  counts(): ReturnType<ServerPool['counts']>[] {
    return this.pools.map((pool) => pool.counts());
  }

  async close(graceMs: Ms): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.close(graceMs)));
    this.watchers.clear();
  }

  private begin(req: AcquireRequest, mode: 'try' | 'line'): RemoteAcquire {
    const shard = this.shardOf(req.key);
    const { readTimeoutMs, requestTimeoutMs } = this.config;
    return new RemoteAcquire(req, mode, this.pools[shard]!, this.waiters[shard]!, readTimeoutMs, requestTimeoutMs);
  }

  /** Asked once for each acquire; what follows goes to the server that granted (strategies may be random). */
  private shardOf(key: string): number {
    const { length } = this.pools;
    const { shardingStrategy } = this.config;
    if (!shardingStrategy) return length === 1 ? 0 : shardOf(key, length);
    const shard: unknown = shardingStrategy(key, length);
    if (Number.isInteger(shard) && (shard as number) >= 0 && (shard as number) < length) return shard as number;
    throw new ConfigError(
      `option remote.shardingStrategy: expected an index of 0 to ${length - 1}, got ${String(shard)}`,
    );
  }

  private tell(event: LinkEvent): void {
    const { error } = event;
    // That it drains is known from the answer that ended the connection.
    if (error instanceof ServerDrainingError) this.emit({ ...event, state: 'draining' });
    this.emit(event);
  }

  private emit(event: LinkEvent): void {
    for (const watcher of [...this.watchers]) watcher(event);
  }
}

function pingOne(pool: ServerPool): Promise<void> {
  return new Promise((resolve, reject) => {
    pool.whenCommand(Infinity, (lane) => {
      if (lane instanceof LockError) return reject(lane);
      lane.send({ t: 'ping' }, (outcome) => {
        if (outcome instanceof LockError) reject(outcome);
        // Before 1.14 the answer is `error`, which is a sign of life too (spec 15).
        else resolve();
      });
    });
  });
}

function statsOf(pool: ServerPool): Promise<unknown> {
  const { server } = pool;
  return new Promise((resolve, reject) => {
    pool.ask({ t: 'stats' }, (outcome) => {
      if (outcome instanceof LockError) return reject(outcome);
      if (outcome.s !== 'stats') return reject(refusal(outcome, 'stats', { server }));
      try {
        resolve({ server, ...(JSON.parse(fromBytes(outcome.json)) as object) });
      } catch (cause) {
        reject(new ProtocolError(`${server}: stats that are no JSON`, { server, cause }));
      }
    });
  });
}
