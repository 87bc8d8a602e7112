import {
  AcquireTimeoutError,
  type AcquireRequest,
  type BackendFactory,
  type BackendHost,
  type Capabilities,
  type Grant,
  LimitMismatchError,
  type LockBackend,
  type LockKind,
  LockLostError,
  type Owner,
  type Pending,
  type Proof,
  type Released,
  ShuttingDownError,
  UnsupportedError,
  type Waiter,
} from '../../lib/entries/client.js';

/** What several backends share: the server, so to speak. */
export class MemoryStore {
  readonly grants = new Map<string, (Grant & { until: number })[]>();
  readonly waiting = new Set<() => void>();
  tokens = 0;
}

const FOR_EVER: Owner = { id: 'memory', provenUntil: () => Infinity, onLost: () => () => undefined };

/** Locks in the memory of this process, without order, fences, tickets and signals: the least that a backend can be. */
export class MemoryBackend implements LockBackend<{ server: string; holders: number; waiters: number }> {
  readonly name = 'memory';
  readonly capabilities: Capabilities = {
    ownership: 'lease', order: 'none', fence: 'none', semaphores: true, tickets: false, signals: false, inspect: 'key',
    leaseUnitMs: 1, minLeaseMs: 50, waitUnitMs: 1, maxKeyBytes: 1000, keepAfterRelease: true,
  }; // prettier-ignore
  private closed = false;

  constructor(
    private readonly store: MemoryStore,
    private readonly host: BackendHost,
  ) {}

  async start(): Promise<Capabilities> {
    return this.capabilities;
  }

  async tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    return this.take(req);
  }

  enqueue(req: AcquireRequest, mode: 'queue' | 'ticket', waiter: Waiter): Pending {
    const { clock, entropy } = this.host;
    if (mode === 'ticket') throw new UnsupportedError('memory has no tickets', { key: req.key });
    let timer: object | undefined;
    const cancel = (): void => {
      if (timer) clock.clearTimer(timer);
      this.store.waiting.delete(look);
    };
    const look = (): void => {
      cancel();
      try {
        const grant = this.take(req);
        if (grant) return waiter.granted(grant);
        if (clock.now() >= req.deadline) throw new AcquireTimeoutError(req.key);
      } catch (error) {
        return waiter.refused(error);
      }
      this.store.waiting.add(look);
      waiter.onPlaced('queued');
      const next = Math.min(req.deadline, ...this.holders(req).map(({ until }) => until));
      timer = clock.setTimer(look, next - clock.now() + entropy.unit(), true);
    };
    look();
    return { cancel };
  }

  async renew(grant: Grant, leaseMs: number): Promise<Proof> {
    const held = this.find(grant);
    if (!held) throw new LockLostError(grant.req.key, 'rejected');
    const validFrom = this.host.clock.now();
    held.until = validFrom + Math.max(leaseMs, this.capabilities.minLeaseMs);
    return { validFrom, leaseMs: held.until - validFrom };
  }

  release(grant: Grant, done: (outcome: Released) => void, keepMs = 0): void {
    const held = this.find(grant);
    if (held) held.until = this.host.clock.now() + keepMs;
    done(held ? 'released' : 'gone');
    for (const look of [...this.store.waiting]) look();
  }

  abandon(grant: Grant): void {
    this.release(grant, () => undefined);
  }

  async isLocked(key: string, kind: LockKind): Promise<boolean> {
    return this.holders({ key, kind }).length > 0;
  }

  async stats(): Promise<{ server: string; holders: number; waiters: number }[]> {
    const holders = [...this.store.grants.values()].flat().filter(({ until }) => until > this.host.clock.now());
    return [{ server: this.name, holders: holders.length, waiters: this.store.waiting.size }];
  }

  async ping(): Promise<void> {
    if (this.closed) throw new ShuttingDownError();
  }

  onLink(): () => void {
    return () => undefined;
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const held of [...this.store.grants.values()].flat()) if (held.server === this.id) this.abandon(held);
  }

  private readonly id = `memory-${Math.random()}`;

  private holders({ kind, key }: Pick<AcquireRequest, 'kind' | 'key'>): (Grant & { until: number })[] {
    return (this.store.grants.get(`${kind} ${key}`) ?? []).filter(({ until }) => until > this.host.clock.now());
  }

  private find(grant: Grant): { until: number } | undefined {
    return this.holders(grant.req).find(({ token }) => token === grant.token);
  }

  private take(req: AcquireRequest): Grant | null {
    if (this.closed) throw new ShuttingDownError();
    const holders = this.holders(req);
    if (holders.some((other) => other.req.limit !== req.limit)) throw new LimitMismatchError({ key: req.key });
    if (holders.length >= req.limit) return null;
    const validFrom = this.host.clock.now();
    const leaseMs = Math.max(req.leaseMs || 30_000, this.capabilities.minLeaseMs);
    const token = String(++this.store.tokens);
    const grant = { req, token, server: this.id, owner: FOR_EVER, validFrom, leaseMs, until: validFrom + leaseMs };
    this.store.grants.set(`${req.kind} ${req.key}`, [...holders, grant]);
    return grant;
  }
}

export const memoryBackend =
  (store = new MemoryStore()): BackendFactory<{ server: string; holders: number; waiters: number }> =>
  (host) =>
    new MemoryBackend(store, host);
