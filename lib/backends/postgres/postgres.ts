import { ShuttingDownError } from '../../common/errors.js';
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
  Waiter,
} from '../backend.js';
import { MAX_KEY_BYTES } from './ids/lock-id.js';
import type { BackendConfig } from './options.js';
import { PostgresAcquire, TryCaller } from './postgres-acquire.js';
import { type Connections, PostgresCore } from './postgres-core.js';
import type { PostgresGrant } from './postgres-grant.js';
import type { PostgresStats } from './postgres-stats.js';
import type { SlotQueue } from './queues/slot-queue.js';
import { PostgresTicket } from './postgres-ticket.js';

/** For a request that names none. */
const DEFAULT_LEASE_MS: Ms = 33_000;

const nothing = (): void => undefined;

/** Locks in Postgres: advisory locks of its sessions. */
export class PostgresBackend implements LockBackend<PostgresStats> {
  readonly name = 'postgres';
  readonly capabilities: Capabilities;
  private readonly core: PostgresCore;
  private closing: Promise<void> | undefined;

  constructor(config: BackendConfig, connections: Connections, host: BackendHost) {
    this.core = new PostgresCore(config, connections, host);
    this.capabilities = Object.freeze({
      ownership: 'connection',
      order: config.waitersPerKey === Infinity ? 'strict' : 'per-process',
      fence: 'per-key',
      semaphores: true,
      tickets: true,
      signals: false,
      inspect: 'dump',
      leaseUnitMs: 1,
      minLeaseMs: 1,
      maxStallMs: config.sessionTimeoutMs,
      waitUnitMs: 1,
      maxKeyBytes: MAX_KEY_BYTES,
      keepAfterRelease: config.keep !== undefined,
    } satisfies Capabilities);
  }

  async start(): Promise<Capabilities> {
    if (this.closing) throw new ShuttingDownError();
    await this.core.start();
    return this.capabilities;
  }

  tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    try {
      this.core.assertUsable();
      return new Promise((resolve, reject) => this.acquire(req, new TryCaller(resolve, reject)));
    } catch (error) {
      return rejected(error);
    }
  }

  enqueue(req: AcquireRequest, mode: 'queue' | 'ticket', waiter: Waiter): Pending {
    const { core } = this;
    if (core.ended) throw core.ended;
    if (mode === 'ticket') return this.ticket(req, waiter);
    return this.acquire(req, waiter);
  }

  renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    const { ended } = this.core;
    return ended ? rejected(ended) : this.core.renew(grant as PostgresGrant, leaseOf(leaseMs));
  }

  release(grant: Grant, done: (outcome: Released) => void, keepMs = 0): void {
    if (keepMs > 0) this.core.keep(grant as PostgresGrant, keepMs, done);
    else this.core.end(grant as PostgresGrant, done);
  }

  abandon(grant: Grant): void {
    this.core.end(grant as PostgresGrant, nothing);
  }

  isLocked(key: string, kind: LockKind): Promise<boolean> {
    try {
      this.core.assertUsable();
      return this.core.isLocked(key, kind);
    } catch (error) {
      return rejected(error);
    }
  }

  async stats(): Promise<PostgresStats[]> {
    this.core.assertUsable();
    return [this.core.stats()];
  }

  async ping(): Promise<void> {
    this.core.assertUsable();
    await this.core.ping();
  }

  onLink(callback: (event: LinkEvent) => void): () => void {
    return this.core.links.add(callback);
  }

  onSuspect(callback: (grant?: Grant) => void): () => void {
    return this.core.suspects.add(callback);
  }

  close(graceMs: Ms): Promise<void> {
    return (this.closing ??= this.core.close(graceMs));
  }

  private ticket(req: AcquireRequest, waiter: Waiter): Pending {
    const { core } = this;
    if (req.kind === 'sem') return this.slot(req, waiter, core.slots.ticket(req.key, req.limit));
    const ticket = new PostgresTicket(core, req, leaseOf(req.leaseMs), waiter);
    return started(ticket, () => ticket.start());
  }

  private slot(req: AcquireRequest, caller: Waiter, queue: SlotQueue): PostgresAcquire {
    const acquire = new PostgresAcquire(this.core, req, leaseOf(req.leaseMs), caller, this.core.clock.now());
    acquire.start(queue);
    return acquire;
  }

  private acquire(req: AcquireRequest, caller: Waiter): PostgresAcquire {
    const { core } = this;
    if (req.kind === 'sem') return this.slot(req, caller, core.slots.get(req.key, req.limit));
    const acquire = new PostgresAcquire(core, req, leaseOf(req.leaseMs), caller, core.clock.now());
    return started(acquire, () => {
      core.lockQueueOf(req.key, (queue, error) => {
        if (queue) acquire.start(queue);
        else acquire.failed(error!);
      });
      acquire.resolving();
    });
  }
}

/** What could not be started is told by the error alone. */
function started<P extends Pending>(pending: P, start: () => void): P {
  try {
    start();
    return pending;
  } catch (error) {
    pending.cancel();
    throw error;
  }
}

/** In whole milliseconds. */
const leaseOf = (askedMs: Ms): Ms => (askedMs === 0 ? DEFAULT_LEASE_MS : Math.max(1, Math.ceil(askedMs)));
