import type {
  AcquireRequest,
  Capabilities,
  Grant,
  LinkEvent,
  LockBackend,
  Owner,
  Pending,
  Placement,
  Proof,
  Released,
  Waiter,
} from '../../../../lib/backends/backend.js';
import { LockLostError, type LossReason } from '../../../../lib/common/errors.js';
import type { Clock, Ms } from '../../../../lib/common/system.js';

/** A connection that a test can cut. */
export class FakeOwner implements Owner {
  readonly id = 'fake';
  proven: Ms = Infinity;
  readonly callbacks = new Set<(reason: LossReason, error?: Error) => void>();

  provenUntil(): Ms {
    return this.proven;
  }

  onLost(callback: (reason: LossReason, error?: Error) => void): () => void {
    this.callbacks.add(callback);
    return () => this.callbacks.delete(callback);
  }

  cut(reason: LossReason = 'disconnected'): void {
    for (const callback of [...this.callbacks]) callback(reason, new Error('cut'));
  }
}

/** A backend that does what a test tells it to; by default it grants everything. */
export class FakeBackend implements LockBackend {
  readonly name = 'fake';
  readonly log: string[] = [];
  readonly owner = new FakeOwner();
  /** Owners and servers of single keys; the others have the one owner and the server `fake`. */
  readonly owners = new Map<string, FakeOwner>();
  readonly servers = new Map<string, string>();
  capabilities: Capabilities = {
    ownership: 'connection',
    order: 'strict',
    fence: 'per-key',
    semaphores: true,
    tickets: true,
    signals: false,
    inspect: 'none',
    leaseUnitMs: 1,
    minLeaseMs: 1,
    waitUnitMs: 1,
    maxKeyBytes: 256,
    keepAfterRelease: false,
  };
  onStart: () => Promise<Capabilities> = async () => this.capabilities;
  onTry: (req: AcquireRequest) => Promise<Grant | null> = async (req) => this.grantFor(req);
  onEnqueue: (req: AcquireRequest) => Promise<Grant> = async (req) => this.grantFor(req);
  /** The grants of tickets come when a test says so. */
  onTicket: (req: AcquireRequest) => Promise<Grant> = () => new Promise(() => undefined);
  placed: Promise<Placement> = Promise.resolve('acquired');
  onRenew: (grant: Grant, leaseMs: Ms) => Promise<Proof> = async (_, leaseMs) => ({
    validFrom: this.clock?.now() ?? 0,
    leaseMs,
  });
  onRelease: (grant: Grant, keepMs?: Ms) => Promise<'released' | 'gone'> = async () => 'released';
  private suspect: ((grant?: Grant) => void) | undefined;
  private readonly watchers = new Set<(event: LinkEvent) => void>();
  private tokens = 0;

  constructor(private readonly clock?: Clock) {}

  grantFor(req: AcquireRequest): Grant {
    const validFrom = this.clock?.now() ?? 0;
    return {
      req,
      token: String(++this.tokens),
      fence: BigInt(this.tokens),
      server: this.servers.get(req.key) ?? 'fake',
      owner: this.owners.get(req.key) ?? this.owner,
      validFrom,
      leaseMs: req.leaseMs || 30_000,
    };
  }

  start(): Promise<Capabilities> {
    this.log.push('start');
    return this.onStart();
  }

  tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    this.log.push(`try ${req.kind} ${req.key} ${req.limit}`);
    return this.onTry(req);
  }

  enqueue(req: AcquireRequest, mode: 'queue' | 'ticket', waiter: Waiter): Pending {
    this.log.push(`${mode === 'queue' ? 'enqueue' : mode} ${req.key}`);
    let over = false;
    const last = (say: () => void): void => {
      if (!over) say();
      over = true;
    };
    void this.placed.then(
      (place) => over || waiter.onPlaced(place),
      () => undefined,
    );
    (mode === 'queue' ? this.onEnqueue(req) : this.onTicket(req)).then(
      (grant) => (over ? this.abandon(grant) : last(() => waiter.granted(grant))),
      (error: unknown) => last(() => waiter.refused(error)),
    );
    const cancel = (): void => {
      this.log.push(`cancel ${req.key}`);
      over = true;
    };
    return { cancel };
  }

  renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    this.log.push(`renew ${grant.token} ${leaseMs}`);
    return this.onRenew(grant, leaseMs);
  }

  release(grant: Grant, done: (outcome: Released) => void, keepMs = 0): void {
    this.log.push(keepMs === 0 ? `release ${grant.token}` : `keep ${grant.token} ${keepMs}`);
    this.onRelease(grant, keepMs).then(done, done);
  }

  abandon(grant: Grant): void {
    this.log.push(`abandon ${grant.token}`);
  }

  async stats(): Promise<unknown[]> {
    return [{ server: 'fake' }];
  }

  async ping(): Promise<void> {
    this.log.push('ping');
  }

  onLink(callback: (event: LinkEvent) => void): () => void {
    this.watchers.add(callback);
    return () => this.watchers.delete(callback);
  }

  onSuspect(callback: (grant?: Grant) => void): () => void {
    this.suspect = callback;
    return () => (this.suspect = undefined);
  }

  /** Asks for the renewal of one grant, or of all. */
  doubt(grant?: Grant): void {
    this.suspect?.(grant);
  }

  link(event: LinkEvent): void {
    for (const watcher of [...this.watchers]) watcher(event);
  }

  async close(_graceMs: Ms): Promise<void> {
    this.log.push('close');
  }
}

export const rejected = (key: string): LockLostError => new LockLostError(key, 'rejected');
