import { ServerPool, type PoolStats } from './server-pool.js';
import type { RemoteConfig } from './lanes/config.js';
import { Callbacks } from '../../common/callbacks.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import { LINE_CAP } from '../../protocol/limits.js';
import type { ServerStats } from '../../protocol/server-stats.js';
import type {
  AcquireRequest,
  Capabilities,
  Grant,
  LinkEvent,
  LockBackend,
  LockKind,
  Pending,
  Proof,
  SignalTaker,
  Released,
  Waiter,
} from '../backend.js';
import { chooseShard } from './choose-shard.js';
import { fencesOf } from './fencing.js';
import { RemoteAcquire, type Trier } from './remote-acquire.js';
import { isLockedBy, pingOne, statsOf } from './remote-queries.js';
import type { RemoteHold } from './remote-hold.js';
import { publishOn, subscribeTo } from './remote-signals.js';
import { RemoteSite } from './remote-site.js';
import { RemoteTicket } from './remote-ticket.js';

/** The wire carries whole seconds (spec 1). */
const SECOND: Ms = 1000;

const capabilitiesOf = ({ autoRelease, waitersPerKey, fencing }: RemoteConfig): Capabilities =>
  Object.freeze({
    ownership: autoRelease ? 'connection' : 'lease',
    order: waitersPerKey === Infinity ? 'strict' : 'per-process',
    fence: fencing === 'token' ? 'per-key' : 'none',
    semaphores: true,
    tickets: true,
    // Not every server supports signals; one that does not refuses the request.
    signals: true,
    inspect: 'dump',
    leaseUnitMs: SECOND,
    minLeaseMs: SECOND,
    // A shorter lease leaves hardly any time for a renewal.
    adviseLeaseMs: 3 * SECOND,
    waitUnitMs: SECOND,
    maxKeyBytes: LINE_CAP,
    keepAfterRelease: !autoRelease,
  });

/** Locks on one or more dflockd servers. Several servers are shards: each key lives on one of them. */
export class RemoteBackend implements LockBackend<ServerStats> {
  readonly name = 'dflockd';
  readonly capabilities: Capabilities;
  private readonly sites: readonly RemoteSite[];
  private readonly links = new Callbacks<[event: LinkEvent]>();
  private readonly suspects = new Callbacks<[]>();

  constructor(
    private readonly config: RemoteConfig,
    clock: Clock,
    entropy: Entropy,
  ) {
    this.capabilities = capabilitiesOf(config);
    const degraded = (server: string, detail: string): void => this.links.tell({ server, state: 'degraded', detail });
    this.sites = config.endpoints.map((endpoint) => {
      const pool = new ServerPool(endpoint, config, clock, entropy, {
        link: (server, state, error) => this.links.tell({ server, state, ...(error ? { error } : undefined) }),
        degraded,
        hastened: (server, detail) => {
          degraded(server, detail);
          this.suspects.tell();
        },
      });
      return new RemoteSite(
        pool,
        fencesOf(config, (detail) => degraded(pool.server, detail)),
      );
    });
  }

  /** Connects to every server. After a rejection with LockUnavailableError it keeps trying in the background. */
  async start(): Promise<Capabilities> {
    await Promise.all(this.sites.map(({ pool }) => pool.start()));
    return this.capabilities;
  }

  tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    return new Promise((resolve, reject) => {
      const refuse: (reason: unknown) => void = reject;
      const trier: Trier = {
        onPlaced: () => undefined,
        granted: resolve,
        refused: refuse,
        busy: () => resolve(null),
      };
      new RemoteAcquire(req, this.siteOf(req.key), trier, trier);
    });
  }

  enqueue(req: AcquireRequest, mode: 'queue' | 'ticket', waiter: Waiter): Pending {
    const site = this.siteOf(req.key);
    return mode === 'ticket' ? new RemoteTicket(req, site, waiter) : new RemoteAcquire(req, site, waiter);
  }

  renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    return (grant as RemoteHold).renew(leaseMs);
  }

  release(grant: Grant, done: (outcome: Released) => void, keepMs = 0): void {
    const hold = grant as RemoteHold;
    if (keepMs > 0) hold.keep(keepMs).then(done, done);
    else hold.release(done);
  }

  abandon(grant: Grant): void {
    (grant as RemoteHold).abandon();
  }

  async ping(): Promise<void> {
    await Promise.all(this.sites.map(({ pool }) => pingOne(pool)));
  }

  stats(): Promise<ServerStats[]> {
    return Promise.all(this.sites.map(({ pool }) => statsOf(pool)));
  }

  /** Publishes on the server of the channel, which is chosen like that of a key. */
  async publish(channel: string, payload: string): Promise<number> {
    return publishOn(this.siteOf(channel).pool, channel, payload);
  }

  subscribe(pattern: string, group: string | undefined, taker: SignalTaker): () => void {
    const pools = this.sites.map(({ pool }) => pool);
    return subscribeTo(pools, pattern, group ?? '', taker);
  }

  /** Reads the whole state of the key's server. Concurrent callers share one request. */
  async isLocked(key: string, kind: LockKind): Promise<boolean> {
    return isLockedBy(await this.siteOf(key).inspection.read(), key, kind);
  }

  onLink(callback: (event: LinkEvent) => void): () => void {
    return this.links.add(callback);
  }

  /** Calls back when the server turns out to close silent connections sooner than assumed. */
  onSuspect(callback: () => void): () => void {
    return this.suspects.add(callback);
  }

  /** Connections to each server, for tests and diagnosis. */
  lanes(): PoolStats[] {
    return this.sites.map(({ pool }) => pool.stats());
  }

  /** Key queues and alarms of waiting callers, for tests and diagnosis. */
  leftOvers(): { queues: number; waits: number } {
    const sum = (count: (site: RemoteSite) => number) => this.sites.reduce((total, site) => total + count(site), 0);
    return { queues: sum(({ pool }) => pool.queues.size), waits: sum(({ pool }) => pool.waits.size) };
  }

  async close(graceMs: Ms): Promise<void> {
    await Promise.all(this.sites.map(({ pool }) => pool.close(graceMs)));
    this.links.clear();
    this.suspects.clear();
  }

  /**
   * Called once per acquire: renewals and the release go to the server that granted, since a strategy may be random.
   */
  private siteOf(key: string): RemoteSite {
    const { sites } = this;
    return sites[chooseShard(key, sites.length, this.config.shardingStrategy)]!;
  }
}
