import type {
  AcquireRequest,
  Capabilities,
  Grant,
  LinkEvent,
  LockBackend,
  LockKind,
  Pending,
  Proof,
  Released,
  SignalTaker,
  Waiter,
} from '../backends/backend.js';
import type { EmbeddedBackend } from '../backends/embedded/embedded.js';
import { Callbacks } from '../common/callbacks.js';
import { LockUnavailableError, type LossReason } from '../common/errors.js';
import type { Clock, Ms } from '../common/system.js';
import type { ServerStats } from '../protocol/server-stats.js';
import { TestGrant } from './test-grant.js';
import { TestPending } from './test-pending.js';

/** One process as the engine sees it, with its grants and waits, on a link that can be cut. */
export class TestBackend implements LockBackend<ServerStats> {
  readonly name: string;
  readonly capabilities: Capabilities;
  private readonly held = new Set<TestGrant>();
  private readonly waits = new Set<TestPending>();
  private readonly links = new Callbacks<[event: LinkEvent]>();
  private isCut = false;

  constructor(
    private readonly engine: EmbeddedBackend,
    private readonly clock: Clock,
    private readonly onClose: () => Promise<void> = async () => undefined,
  ) {
    this.name = engine.name;
    this.capabilities = engine.capabilities;
  }

  /** Its grants, including minimum holds that still run. */
  get grants(): readonly TestGrant[] {
    const now = this.clock.now();
    for (const grant of this.held) if (grant.until <= now) this.held.delete(grant);
    return [...this.held];
  }

  /** The requests of its waiting callers. */
  get waiting(): readonly AcquireRequest[] {
    return [...this.waits].map(({ req }) => req);
  }

  /** Cuts the link to the engine, in both directions. */
  cut(): void {
    if (this.isCut) return;
    this.isCut = true;
    for (const wait of this.waits) wait.suspend();
    this.tellLink('down');
  }

  heal(): void {
    if (!this.isCut) return;
    this.isCut = false;
    for (const wait of this.waits) wait.resume();
    this.tellLink('up');
  }

  /** Makes the engine free the grant and tells its holder. */
  lose(grant: TestGrant, reason: LossReason): void {
    this.held.delete(grant);
    this.engine.abandon(grant.inner);
    grant.lose(reason);
  }

  start(): Promise<Capabilities> {
    return this.engine.start();
  }

  async tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    this.assertReachable();
    const inner = await this.engine.tryAcquire(req);
    return inner && this.took(inner);
  }

  enqueue(req: AcquireRequest, mode: 'queue' | 'ticket', waiter: Waiter): Pending {
    const wait = new TestPending(req, {
      clock: this.clock,
      place: (inner) => this.engine.enqueue(req, mode, inner),
      onPlaced: (place) => waiter.onPlaced(place),
      granted: (grant) => waiter.granted(this.took(grant)),
      refused: (error) => waiter.refused(error),
      unreachable: () => this.unreachable(),
      over: () => void this.waits.delete(wait),
    });
    this.waits.add(wait);
    if (this.isCut) wait.suspend();
    else wait.resume();
    return wait;
  }

  async renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    this.assertReachable();
    const proof = await this.engine.renew((grant as TestGrant).inner, leaseMs);
    (grant as TestGrant).renewed(proof);
    return proof;
  }

  release(grant: Grant, done: (outcome: Released) => void, keepMs?: Ms): void {
    // A lock that could not be released is held until its lease ends.
    if (this.isCut) return done(this.unreachable());
    const its = grant as TestGrant;
    if (keepMs) its.until = this.clock.now() + keepMs;
    else this.held.delete(its);
    this.engine.release(its.inner, done, keepMs);
  }

  abandon(grant: Grant): void {
    this.release(grant, () => undefined);
  }

  async isLocked(key: string, kind: LockKind): Promise<boolean> {
    this.assertReachable();
    return this.engine.isLocked(key, kind);
  }

  async stats(): Promise<ServerStats[]> {
    this.assertReachable();
    return this.engine.stats();
  }

  async ping(): Promise<void> {
    this.assertReachable();
  }

  async publish(channel: string, payload: string): Promise<number> {
    this.assertReachable();
    return this.engine.publish(channel, payload);
  }

  /** Signals published during a cut are lost. */
  subscribe(pattern: string, group: string | undefined, taker: SignalTaker): () => void {
    return this.engine.subscribe(pattern, group, {
      signal: (channel, payload) => {
        if (!this.isCut) taker.signal(channel, payload);
      },
      failed: (error) => taker.failed(error),
    });
  }

  onLink(callback: (event: LinkEvent) => void): () => void {
    return this.links.add(callback);
  }

  async close(_graceMs: Ms): Promise<void> {
    for (const wait of this.waits) wait.cancel();
    await this.onClose();
  }

  private took(inner: Grant): TestGrant {
    const grant = new TestGrant(inner);
    this.held.add(grant);
    return grant;
  }

  private tellLink(state: 'up' | 'down'): void {
    this.links.tell({ server: this.name, state, ...(state === 'down' ? { error: this.unreachable() } : undefined) });
  }

  private assertReachable(): void {
    if (this.isCut) throw this.unreachable();
  }

  private unreachable(): LockUnavailableError {
    return new LockUnavailableError('partitioned by the test', { server: this.name });
  }
}
