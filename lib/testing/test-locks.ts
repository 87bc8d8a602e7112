import type { DynamicModule, Provider } from '@nestjs/common';
import { EmbeddedBackend } from '../backends/embedded/embedded.js';
import { brand } from '../common/brand.js';
import { printAs } from '../common/inspection.js';
import { plainFields } from '../common/plain.js';
import { ConfigError, type LossReason } from '../common/errors.js';
import { shown } from '../common/shown.js';
import { type Entropy, type Ms, nextTurn, systemEntropy } from '../common/system.js';
import { LockClient } from '../locks/lock-client.js';
import type { LockHandle } from '../locks/handle/lock-handle.js';
import { orderedKeys } from '../locks/acquire/key-order.js';
import { checkNames, checkNumber, checkObject, wrong } from '../common/option-checks.js';
import { type BackendLimits, limitsOf } from '../locks/options/limits.js';
import type { LockTimes, LockKey } from '../locks/options/options.js';
import { resolveEmbedded } from '../backends/embedded/options.js';
import { DflockdModule } from '../nest/dflockd.module.js';
import type { DflockdModuleOptions, DflockdModuleExtras } from '../nest/dflockd.options.js';
import { DflockdService } from '../nest/dflockd.service.js';
import { getDflockdToken } from '../nest/dflockd.token.js';
import { TestBackend } from './test-backend.js';
import { TestClock } from './test-clock.js';
import type { TestGrant } from './test-grant.js';

/** What of the module's options means something in a test. */
export type TestLocksOptions = LockTimes & Pick<DflockdModuleOptions, 'namespace' | 'shutdownTimeoutS' | 'maxHoldS'>;

/** One lock, or one slot of a semaphore, that is held. */
export interface HeldLockInfo {
  /** Without namespace. Keys over 256 bytes as they are on the wire: hashed. */
  readonly key: string;
  /** Of a semaphore. */
  readonly limit?: number | undefined;
  readonly fence?: bigint | undefined;
  /** Milliseconds until its lease, or its minimum hold, is over. */
  readonly remainingMs: Ms;
  /** Whether the application has it, or `occupy` took it. */
  readonly by: 'application' | 'other';
  /** The fence as text. */
  toJSON(): object;
}

/** Not a field: who compares what is held names what it is. */
const HELD = {
  toJSON(this: object): object {
    return plainFields(this);
  },
};
const heldInfo = (info: Omit<HeldLockInfo, 'toJSON'>): HeldLockInfo =>
  Object.setPrototypeOf(info, HELD) as HeldLockInfo;

const LOSS_REASONS: readonly LossReason[] = ['expired', 'disconnected', 'rejected', 'draining', 'shutdown', 'overdue'];
const SETTABLE = ['acquireTimeoutS', 'leaseTtlS', 'namespace', 'shutdownTimeoutS', 'maxHoldS'];

/** So that a test can say when a lock is renewed. */
const NO_JITTER: Entropy = { ...systemEntropy, unit: () => 0 };

/**
 * Locks for the tests of an application: the real engine in this process, without sockets, and a handle on everything that
 * may happen to a lock. Make one for each application under test.
 *
 * @example
 * ```ts
 * const locks = new TestLocks();
 * const app = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(DflockdService).useValue(locks.service)
 *   .compile();
 * await locks.occupy('order:7');                        // somebody else has it
 * await expect(orders.charge('7')).rejects.toThrow(AcquireTimeoutError);
 * ```
 */
export class TestLocks {
  /** What the application uses. Closed when the application is. */
  readonly service: DflockdService;
  private readonly clock = new TestClock();
  private readonly engine: EmbeddedBackend;
  private readonly own: TestBackend;
  private readonly others: TestBackend;
  private readonly rival: LockClient;
  private readonly namespace: string | undefined;
  private readonly limits: BackendLimits;

  /** @throws ConfigError naming option and value */
  constructor(options: TestLocksOptions = {}) {
    checkNames('', checkObject('options', options), SETTABLE);
    const { clock } = this;
    this.namespace = options.namespace;
    this.engine = new EmbeddedBackend(resolveEmbedded({ leaseSweepInterval: 0.001 }), clock, systemEntropy);
    this.limits = limitsOf(this.engine);
    this.own = new TestBackend(this.engine, clock, () => this.closeRest());
    this.others = new TestBackend(this.engine, clock);
    const client = (backend: TestBackend) => new LockClient({ ...options, backend }, { clock, entropy: NO_JITTER });
    this.service = new DflockdService(client(this.own));
    this.rival = client(this.others);
    // The engine is ready at once; only now are its capabilities known to the service.
    void this.service.client.start();
  }

  /**
   * `DflockdModule` on these locks, for `imports` in place of `DflockdModule.forRoot(…)`.
   * @throws ConfigError as `forRoot`
   */
  module(options: DflockdModuleExtras & Pick<DflockdModuleOptions, 'exceptionFilter' | 'logger'> = {}): DynamicModule {
    checkObject('options', options);
    const { instance, isGlobal, ...rest } = options;
    // Factories, not values: Nest 10 tells dynamic modules apart by writing out all that is in them.
    const definition = DflockdModule.forRootAsync({
      instance,
      isGlobal,
      useFactory: () => ({ logger: false, ...rest, backend: this.own }),
    });
    const token = getDflockdToken(instance);
    const providers = definition.providers!.map((provider): Provider => {
      const its = typeof provider === 'object' && 'provide' in provider && provider.provide === token;
      return its ? { provide: token, useFactory: () => this.service } : provider;
    });
    return { ...definition, providers };
  }

  /**
   * Has somebody else take the key (all of them, or none; with `limit` one slot), until the returned handle is released.
   * @throws AcquireTimeoutError if it is not free; ConfigError
   */
  async occupy(key: LockKey, options: { limit?: number | undefined } = {}): Promise<LockHandle> {
    checkNames('', checkObject('options', options), ['limit']);
    const { limit } = options;
    return this.rival.acquire(key, { acquireTimeoutS: 0, ...(limit === undefined ? undefined : { limit }) });
  }

  /**
   * Has the application lose the key (with `limit`: every slot that it has): it is free for others, and the holder is told.
   * @param reason default `'disconnected'`
   * @throws ConfigError if the application does not hold it
   */
  async lose(key: string, reason: LossReason = 'disconnected'): Promise<void> {
    // What has just been granted is on its way to the code that asked for it, which should have begun its work.
    await nextTurn();
    if (!LOSS_REASONS.includes(reason)) throw wrong('reason', `one of ${LOSS_REASONS.join(', ')}`, reason);
    const wire = this.wireKey(key);
    const grants = this.own.grants.filter(({ req }) => req.key === wire);
    if (grants.length === 0) throw new ConfigError(`lose("${shown(key)}"): the application ${this.whatItHolds()}`);
    for (const grant of grants) this.own.lose(grant, reason);
  }

  /**
   * Cuts the application off: acquires fail with LockUnavailableError at their deadline, renewals and releases do not
   * arrive, and what it holds is lost, and free for `occupy`, when its lease is over.
   */
  partition(): void {
    this.own.cut();
  }

  /** Ends a partition. */
  heal(): void {
    this.own.heal();
  }

  /**
   * Skips time for the locks: leases, renewals, waits and minimum holds, not the timers of the application itself. Under
   * fake timers advance those instead, which drive the locks too (`jest.advanceTimersByTimeAsync`); behind a function that
   * advances them without waiting for promises, `advance(0)` resolves when all that is due has happened.
   * @throws ConfigError
   */
  async advance(ms: Ms): Promise<void> {
    checkNumber('ms', ms ?? NaN, { min: 0, max: Number.MAX_SAFE_INTEGER });
    await this.clock.advance(ms);
  }

  /** What is held at this moment, minimum holds included. */
  held(): HeldLockInfo[] {
    const told = (grants: readonly TestGrant[], by: HeldLockInfo['by']) =>
      grants.map(({ req, fence, until }) =>
        heldInfo({
          key: this.plain(req.key),
          ...(req.kind === 'sem' ? { limit: req.limit } : undefined),
          ...(fence === undefined ? undefined : { fence }),
          remainingMs: until - this.clock.now(),
          by,
        }),
      );
    return [...told(this.own.grants, 'application'), ...told(this.others.grants, 'other')];
  }

  /** Plain data: what is held, and what is waited for. */
  toJSON(): object {
    return { held: this.held(), waiting: this.waiting() };
  }

  /** Whether anybody holds the key. */
  isHeld(key: string): boolean {
    const wire = this.wireKey(key);
    return [...this.own.grants, ...this.others.grants].some(({ req }) => req.key === wire);
  }

  /** The keys that callers in the application wait for at this moment, one element for each caller. */
  waiting(): string[] {
    return this.own.waiting.map(({ key }) => this.plain(key));
  }

  /** Where no application does it. Idempotent. */
  close(): Promise<void> {
    return this.service.client.close();
  }

  private async closeRest(): Promise<void> {
    await this.rival.close();
    await this.engine.close(0);
    this.clock.stop();
  }

  private wireKey(key: string): string {
    return orderedKeys(key, { namespace: this.namespace, limits: this.limits }).wires[0]!;
  }

  private plain(wire: string): string {
    const prefix = this.namespace === undefined ? '' : `${this.namespace}:`;
    return wire.startsWith(prefix) ? wire.slice(prefix.length) : wire;
  }

  private whatItHolds(): string {
    const keys = this.own.grants.map(({ req }) => `"${shown(this.plain(req.key))}"`);
    return keys.length === 0 ? 'holds nothing' : `holds ${keys.join(', ')}`;
  }
}
brand(TestLocks, 'TestLocks');
printAs('TestLocks', TestLocks);
