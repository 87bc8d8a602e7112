import { ShuttingDownError, UnsupportedError } from '../../common/errors.js';
import { rejected } from '../../common/rejected.js';
import type { Ms } from '../../common/system.js';
import type {
  AcquireRequest,
  BackendHost,
  Capabilities,
  Grant,
  LinkEvent,
  LockBackend,
  LockKind,
  Pending,
  Proof,
  Released,
  RenewalRequest,
  Waiter,
} from '../backend.js';
import type { RedisDriver } from './drivers/driver.js';
import type { Op } from './op.js';
import type { RedisConfig } from './options.js';
import { serverInfo } from './probe.js';
import { RedisAcquire } from './redis-acquire.js';
import { RedisCore } from './redis-core.js';
import type { RedisGrant } from './redis-grant.js';
import type { RedisStats } from './redis-stats.js';
import { GrantRenewal } from './grant-renewal.js';
import { Release } from './repeated.js';
import { TryAcquire } from './try-acquire.js';

const CAPABILITIES: Capabilities = Object.freeze({
  ownership: 'lease',
  order: 'strict',
  fence: 'per-key',
  semaphores: true,
  tickets: true,
  signals: false,
  inspect: 'key',
  leaseUnitMs: 1,
  minLeaseMs: 1,
  adviseLeaseMs: 500,
  waitUnitMs: 1,
  maxKeyBytes: 1024,
  keepAfterRelease: true,
});

/** Locks in Redis: on one server, behind Sentinels, or in a cluster. */
export class RedisBackend implements LockBackend<RedisStats> {
  readonly name = 'redis';
  readonly capabilities = CAPABILITIES;
  private readonly core: RedisCore;
  private closing: Promise<void> | undefined;

  /** @param dial makes a driver that has not connected yet */
  constructor(config: RedisConfig, dial: () => RedisDriver, host: BackendHost) {
    this.core = new RedisCore(config, dial, host);
  }

  async start(): Promise<Capabilities> {
    if (this.closing) throw new ShuttingDownError();
    await this.core.start();
    return CAPABILITIES;
  }

  tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    const { core } = this;
    try {
      core.assertUsable();
      const leaseMs = this.leaseOf(req.leaseMs);
      const keys = core.names.of(req.kind, req.key);
      return new Promise((resolve, reject) => new TryAcquire(core, req, keys, leaseMs, resolve, reject).start());
    } catch (error) {
      return rejected(error);
    }
  }

  /** Every caller has a place of its own in the queue of Redis, with a ticket or without. */
  enqueue(req: AcquireRequest, _mode: 'queue' | 'ticket', waiter: Waiter): Pending {
    const { core } = this;
    if (core.ended) throw core.ended;
    const acquire = new RedisAcquire(core, req, core.names.of(req.kind, req.key), this.leaseOf(req.leaseMs), waiter);
    acquire.start();
    return acquire;
  }

  renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    return new Promise((renewed, failed) => this.renewOne({ grant, leaseMs, renewed, failed }));
  }

  renewAll(requests: readonly RenewalRequest[]): void {
    for (const request of requests) this.renewOne(request);
  }

  release(grant: Grant, done: (outcome: Released) => void, keepMs = 0): void {
    const { core } = this;
    const { req, keys, token, heldUntil } = grant as RedisGrant;
    core.forget(grant as RedisGrant);
    new Release(core, req.kind, keys, req.limit, token, Math.ceil(keepMs), heldUntil, done).start();
  }

  abandon(grant: Grant): void {
    this.release(grant, () => undefined);
  }

  async isLocked(key: string, kind: LockKind): Promise<boolean> {
    const { core } = this;
    core.assertUsable();
    const keys = core.names.of(kind, key);
    if (kind === 'lock') return Number(await core.command(keys.key, ['EXISTS', keys.key])) > 0;
    return new Promise((resolve, reject) => {
      const op: Op = {
        kind, keys, op: 'i', x: '', y: '', limit: 1, sentAt: NaN, isDropped: false,
        answered: (count) => resolve(Number(count) > 0),
        refused: reject,
        unanswered: reject,
      }; // prettier-ignore
      core.send(op);
    });
  }

  async stats(): Promise<RedisStats[]> {
    const { core } = this;
    core.assertUsable();
    const { version, role, memoryPolicy, connectedReplicas } = await serverInfo(core.driver);
    return [{ server: core.server, version, role, memoryPolicy, connectedReplicas, ...core.tally() }];
  }

  async ping(): Promise<void> {
    this.core.assertUsable();
    await this.core.command(undefined, ['PING']);
  }

  onLink(callback: (event: LinkEvent) => void): () => void {
    return this.core.links.add(callback);
  }

  /** Told of a key that was deleted, with the option `watch`; of all, when there is a connection again. */
  onSuspect(callback: (grant?: Grant) => void): () => void {
    return this.core.suspects.add(callback);
  }

  close(graceMs: Ms): Promise<void> {
    return (this.closing ??= this.core.close(graceMs));
  }

  private renewOne(request: RenewalRequest): void {
    const { core } = this;
    try {
      core.assertUsable();
      core.renew(new GrantRenewal(request, this.leaseOf(request.leaseMs), core.clock));
    } catch (error) {
      request.failed(error);
    }
  }

  /** In whole milliseconds. @throws UnsupportedError */
  private leaseOf(askedMs: Ms): Ms {
    if (askedMs === 0) return this.core.config.leaseMs;
    if (askedMs === Infinity) throw new UnsupportedError('the Redis backend has no lease without end');
    return Math.max(1, Math.ceil(askedMs));
  }
}
