import { strict as assert } from 'node:assert';
import type {
  AcquireRequest,
  BackendFactory,
  BackendHost,
  Capabilities,
  Grant,
  LockBackend,
  Pending,
  Placement,
  Released,
  RenewalRequest,
} from '../../backends/backend.js';
import { Deferred } from '../../common/deferred.js';
import { type Ms, systemClock, systemEntropy } from '../../common/system.js';

/** A place where locks live, created for one test. */
export interface BackendWorld {
  /** Called once per simulated process; all backends that it creates share their locks. */
  readonly connect: BackendFactory;
  /** Called after the backends have been closed. */
  readonly close?: (() => Promise<void>) | undefined;
}

/** The longest time that anything may take: machines pause. */
const PATIENCE_MS: Ms = 10_000;

const later = (ms: Ms): Promise<void> => new Promise((resolve) => void systemClock.setTimer(resolve, ms, true));

/** Waits until `condition` returns a value, and resolves with it. */
export async function until<T>(condition: () => Promise<T | null | false | undefined>, what: string): Promise<T> {
  const end = systemClock.now() + PATIENCE_MS;
  for (;;) {
    const value = await condition();
    if (value !== null && value !== false && value !== undefined) return value;
    assert.ok(systemClock.now() < end, `timed out waiting for ${what}`);
    await later(5);
  }
}

export async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: object | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = systemClock.setTimer(() => reject(new Error(`timed out waiting for ${what}`)), PATIENCE_MS, true);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    systemClock.clearTimer(timer!);
  }
}

/** The error that a promise rejects with. */
export const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => assert.fail(`expected a rejection, got ${String(value)}`),
    (error: unknown) => error,
  );

/** The callbacks of a wait as promises. */
export interface Waiting {
  readonly placed: Promise<Placement>;
  readonly grant: Promise<Grant>;
  cancel(): void;
}

/** Two processes, and the operations of a test on them. */
export class TestWorld {
  readonly host: BackendHost = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
  private readonly made: LockBackend[] = [];
  private lastKey = 0;
  /** Calls after the final one, or after the waiter had cancelled. */
  private readonly gossip: string[] = [];
  private readonly run = `t${systemEntropy.unit().toString(36).slice(2)}-`;

  private constructor(private readonly world: BackendWorld) {}

  /** Runs a test in its own world. */
  static async with(world: BackendWorld, test: (world: TestWorld) => Promise<void>): Promise<void> {
    const made = new TestWorld(world);
    try {
      await test(made);
      assert.deepEqual(made.gossip, [], 'something was called after its final call');
    } finally {
      await Promise.all(made.made.map((backend) => backend.close(1000)));
      await world.close?.();
    }
  }

  get factory(): BackendFactory {
    return this.world.connect;
  }

  now(): Ms {
    return systemClock.now();
  }

  /** Creates another process. */
  async process(): Promise<LockBackend> {
    const backend = this.world.connect(this.host);
    this.made.push(backend);
    await inTime(backend.start(), 'the start');
    return backend;
  }

  key(): string {
    return `${this.run}${++this.lastKey}`;
  }

  request(change: Partial<AcquireRequest> = {}, waitMs: Ms = PATIENCE_MS): AcquireRequest {
    const deadline = this.now() + waitMs;
    return { key: this.key(), kind: 'lock', limit: 1, leaseMs: 30_000, deadline, ...change };
  }

  async take(backend: LockBackend, req: AcquireRequest): Promise<Grant> {
    const grant = await inTime(backend.tryAcquire(req), 'the answer to a try');
    return grant ?? assert.fail(`${req.key} is busy`);
  }

  /** Acquires the lock as soon as it is free. */
  takeLater(backend: LockBackend, req: AcquireRequest, what: string): Promise<Grant> {
    return until(() => backend.tryAcquire(req), what);
  }

  enqueue(backend: LockBackend, req: AcquireRequest, mode: 'queue' | 'ticket' = 'queue'): Waiting {
    const placed = new Deferred<Placement>().quiet();
    const grant = new Deferred<Grant>().quiet();
    let over = false;
    const last = (what: string, say: () => void): void => {
      if (over) this.gossip.push(`${req.key}: ${what}`);
      else say();
      over = true;
    };
    const pending: Pending = backend.enqueue(req, mode, {
      onPlaced: (place) => placed.resolve(place),
      granted: (given) =>
        last('granted', () => {
          placed.resolve('acquired');
          grant.resolve(given);
        }),
      refused: (error) =>
        last('refused', () => {
          placed.reject(error);
          grant.reject(error);
        }),
    });
    const cancel = (): void => {
      over = true;
      pending.cancel();
    };
    return { placed: placed.promise, grant: grant.promise, cancel };
  }

  release(backend: LockBackend, grant: Grant, keepMs?: Ms): Promise<Released> {
    return inTime(new Promise((resolve) => backend.release(grant, resolve, keepMs)), 'the release');
  }

  /** Renews grants at once, each with its own lease; the errors of those that failed are among the outcomes. */
  async renewAll(backend: LockBackend, leases: readonly (readonly [Grant, Ms])[]): Promise<unknown[]> {
    const outcomes = leases.map(() => new Deferred<unknown>());
    const requests = leases.map(([grant, leaseMs], i): RenewalRequest => {
      let over = false;
      const last = (outcome: unknown): void => {
        if (over) this.gossip.push(`${grant.req.key}: a second answer to a renewal`);
        over = true;
        outcomes[i]!.resolve(outcome);
      };
      return { grant, leaseMs, renewed: last, failed: last };
    });
    try {
      backend.renewAll!(requests);
    } catch (error) {
      for (const { resolve } of outcomes) resolve(error);
    }
    return inTime(Promise.all(outcomes.map(({ promise }) => promise)), 'the answers to the renewals');
  }

  /** A lease of one second, or the minimum if that is longer. */
  shortLease({ minLeaseMs, leaseUnitMs }: Capabilities): Ms {
    return Math.max(1000, minLeaseMs, leaseUnitMs);
  }
}
