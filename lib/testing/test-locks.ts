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
import { type BackendLimits, limitsOf } from '../locks/options/backend-limits.js';
import type { LockTimes, LockKey } from '../locks/options/options.js';
import { resolveEmbedded } from '../backends/embedded/options.js';
import { DflockdModule } from '../nest/dflockd.module.js';
import type { DflockdModuleOptions, DflockdModuleExtras } from '../nest/dflockd.options.js';
import { DflockdService } from '../nest/dflockd.service.js';
import { getDflockdToken } from '../nest/dflockd.token.js';
import { TestBackend } from './test-backend.js';
import { TestClock } from './test-clock.js';
import type { TestGrant } from './test-grant.js';

/** The module options that have a meaning in tests. */
export type TestLocksOptions = LockTimes & Pick<DflockdModuleOptions, 'namespace' | 'shutdownTimeoutS' | 'maxHoldS'>;

/** One held lock, or one held slot of a semaphore. */
export interface HeldLockInfo {
  /** Without the namespace. Keys over 256 bytes are shown as on the wire: hashed. */
  readonly key: string;
  /** Set for a semaphore. */
  readonly limit?: number | undefined;
  readonly fence?: bigint | undefined;
  /** Milliseconds until its lease, or its minimum hold, ends. */
  readonly remainingMs: Ms;
  /** Whether the application holds it, or `occupy` does. */
  readonly by: 'application' | 'other';
  /** The fence as a string. */
  toJSON(): object;
}

/** Not a field, so that it does not disturb comparisons of held locks. */
const HELD = {
  toJSON(this: object): object {
    return plainFields(this);
  },
};
const heldInfo = (info: Omit<HeldLockInfo, 'toJSON'>): HeldLockInfo =>
  Object.setPrototypeOf(info, HELD) as HeldLockInfo;

const LOSS_REASONS: readonly LossReason[] = ['expired', 'disconnected', 'rejected', 'draining', 'shutdown', 'overdue'];
const SETTABLE = ['acquireTimeoutS', 'leaseTtlS', 'namespace', 'shutdownTimeoutS', 'maxHoldS'];

/** Makes the time of a renewal predictable. */
const NO_JITTER: Entropy = { ...systemEntropy, unit: () => 0 };

/**
 * Locks for the tests of an application: the real engine in this process, without sockets, with control over everything
 * that may happen to a lock. Create one for each application under test.
 *
 * @example
 * ```ts
 * const locks = new TestLocks();
 * const app = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(DflockdService).useValue(locks.service)
 *   .compile();
 * await locks.occupy('order:7');                        // another process has it
 * await expect(orders.charge('7')).rejects.toThrow(AcquireTimeoutError);
 * ```
 */
export class TestLocks {
  /** The service for the application. Closed when the application is. */
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
    // The engine is ready at once; starting makes its capabilities known to the service.
    void this.service.client.start();
  }

  /**
   * A `DflockdModule` that uses these locks, for `imports` instead of `DflockdModule.forRoot(…)`.
   * @throws ConfigError as `forRoot`
   */
  module(options: DflockdModuleExtras & Pick<DflockdModuleOptions, 'exceptionFilter' | 'logger'> = {}): DynamicModule {
    checkObject('options', options);
    const { instance, isGlobal, ...rest } = options;
    // Factories rather than values: Nest 10 identifies dynamic modules by serialising their contents.
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
   * Acquires the key as another process (all keys or none; with `limit`, one slot), until the returned handle is
   * released.
   * @throws AcquireTimeoutError if it is not free; ConfigError
   */
  async occupy(key: LockKey, options: { limit?: number | undefined } = {}): Promise<LockHandle> {
    checkNames('', checkObject('options', options), ['limit']);
    const { limit } = options;
    return this.rival.acquire(key, { acquireTimeoutS: 0, ...(limit === undefined ? undefined : { limit }) });
  }

  /**
   * Makes the application lose the key (with `limit`: every slot it holds): the key becomes free for others, and the
   * holder is told.
   * @param reason default `'disconnected'`
   * @throws ConfigError if the application does not hold it
   */
  async lose(key: string, reason: LossReason = 'disconnected'): Promise<void> {
    // A fresh grant is still on its way to the code that requested it, which should have begun its work.
    await nextTurn();
    if (!LOSS_REASONS.includes(reason)) throw wrong('reason', `one of ${LOSS_REASONS.join(', ')}`, reason);
    const wire = this.wireKey(key);
    const grants = this.own.grants.filter(({ req }) => req.key === wire);
    if (grants.length === 0) throw new ConfigError(`lose("${shown(key)}"): the application ${this.whatItHolds()}`);
    for (const grant of grants) this.own.lose(grant, reason);
  }

  /**
   * Cuts the application off: acquires fail with LockUnavailableError at their deadline, renewals and releases do not
   * arrive, and its locks are lost, and free for `occupy`, when their leases end.
   */
  partition(): void {
    this.own.cut();
  }

  /** Ends a partition. */
  heal(): void {
    this.own.heal();
  }

  /**
   * Skips time, in milliseconds, for the locks: leases, renewals, waits and minimum holds, but not for the
   * application's own timers. Under fake timers advance those instead, which drive the locks too
   * (`jest.advanceTimersByTimeAsync`). After a function that advances them without waiting for promises, `advance(0)`
   * resolves when everything due has happened.
   * @throws ConfigError
   */
  async advance(ms: Ms): Promise<void> {
    checkNumber('ms', ms ?? NaN, { min: 0, max: Number.MAX_SAFE_INTEGER });
    await this.clock.advance(ms);
  }

  /** Everything held at this moment, including minimum holds. */
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

  /** Whether the key is held. */
  isHeld(key: string): boolean {
    const wire = this.wireKey(key);
    return [...this.own.grants, ...this.others.grants].some(({ req }) => req.key === wire);
  }

  /** The keys that callers in the application wait for at this moment, one element per caller. */
  waiting(): string[] {
    return this.own.waiting.map(({ key }) => this.plain(key));
  }

  /** For tests without an application that closes it. Idempotent. */
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
