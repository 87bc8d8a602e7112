import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AcquireRequest, Grant } from '../../../lib/backends/backend.js';
import { RemoteBackend } from '../../../lib/backends/dflockd/remote.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { resolveRemote } from '../../../lib/backends/dflockd/options.js';
import { until } from '../../support/until.js';
import { enqueue, release, type Waiting } from '../../support/lock-backend.js';

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 40);
const PROCESSES = 2;

/** Which of those there are: an index, taken modulo their number. */
type Pick = number;
type Step =
  | { do: 'acquire'; by: Pick; count: number }
  | { do: 'release'; which: Pick; count: number }
  | { do: 'cancel'; which: Pick }
  | { do: 'turns'; count: number }
  | { do: 'settle' };

const pick = fc.nat(99);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('acquire' as const), by: pick, count: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('release' as const), which: pick, count: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'settle' as const }) },
);

interface Setting {
  readonly limit: number;
  readonly waitersPerKey: number;
  readonly maxWaitLanes: number;
  readonly steps: readonly Step[];
}

const setting: fc.Arbitrary<Setting> = fc.record({
  limit: fc.integer({ min: 1, max: 6 }),
  waitersPerKey: fc.constantFrom(1, 2, 3, 8),
  // Few: lanes run out, and key queues poll.
  maxWaitLanes: fc.constantFrom(2, 4, 1024, 1024),
  steps: fc.array(step, { minLength: 5, maxLength: 25 }),
});

interface Caller {
  readonly by: number;
  readonly pending: Waiting;
  /** Order of arrival. */
  readonly number: number;
}

/** Two processes that want slots of one semaphore on a daemon, and what may never happen to them. */
class Semaphore {
  readonly wrongs: string[] = [];
  private readonly waiting = new Set<Caller>();
  private readonly held: { by: number; grant: Grant }[] = [];
  /** Of each process: who was served last. */
  private readonly last = Array.from({ length: PROCESSES }, () => -1);
  private arrived = 0;

  constructor(
    private readonly backends: readonly RemoteBackend[],
    private readonly setting: Setting,
  ) {}

  async step(step: Step): Promise<void> {
    if (step.do === 'acquire') for (let i = 0; i < step.count; i++) this.acquire(step.by % PROCESSES);
    else if (step.do === 'release') for (let i = 0; i < step.count; i++) this.release(step.which);
    else if (step.do === 'cancel') this.cancel(step.which);
    else if (step.do === 'settle') await this.settled();
    else for (let i = 0; i < step.count; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** No slot is free while somebody waits, and the places in the daemon's queue are as many as they may be. */
  async settled(): Promise<void> {
    const { limit, waitersPerKey, maxWaitLanes } = this.setting;
    await until(() => this.waiting.size === 0 || this.held.length === limit, 'all slots to be taken');
    if (maxWaitLanes < 1024) return;
    await until(
      () =>
        this.backends.every((backend, by) => {
          const waiting = [...this.waiting].filter((caller) => caller.by === by).length;
          return backend.lanes()[0]!.blocked === Math.min(waiting, waitersPerKey);
        }),
      'the places',
    );
  }

  /** Everybody has a turn. */
  async finish(): Promise<void> {
    while (this.waiting.size + this.held.length > 0) {
      await this.settled();
      this.release(0);
    }
    for (const backend of this.backends) {
      await until(() => backend.leftOvers().queues === 0, 'the end of the queues');
      expect(backend.leftOvers()).toEqual({ queues: 0, waits: 0 });
    }
  }

  private acquire(by: number): void {
    const { limit } = this.setting;
    const deadline = systemClock.now() + 60_000;
    const request: AcquireRequest = { key: 'key', kind: 'sem', limit, leaseMs: 30_000, deadline };
    const caller = { by, number: this.arrived++, pending: enqueue(this.backends[by]!, request, 'queue') };
    this.waiting.add(caller);
    caller.pending.grant.then(
      (grant) => this.granted(caller, grant),
      () => this.waiting.delete(caller),
    );
  }

  private granted(caller: Caller, grant: Grant): void {
    this.waiting.delete(caller);
    this.held.push({ by: caller.by, grant });
    if (this.held.length > this.setting.limit) this.wrongs.push(`${this.held.length} holders`);
    if (caller.number < this.last[caller.by]!) this.wrongs.push(`${caller.number} was overtaken`);
    this.last[caller.by] = caller.number;
  }

  private release(which: Pick): void {
    const [hold] = this.held.splice(which % Math.max(this.held.length, 1), 1);
    if (hold)
      void release(this.backends[hold.by]!, hold.grant).then((how) => how === 'released' || this.wrongs.push(how));
  }

  private cancel(which: Pick): void {
    const all = [...this.waiting];
    all[which % Math.max(all.length, 1)]?.pending.cancel(new Error('enough'));
  }
}

async function play(setting: Setting): Promise<void> {
  const { waitersPerKey, maxWaitLanes, steps } = setting;
  const server = new DflockdServer({ port: 0, shutdownTimeout: 0.2 });
  const { port } = await server.listen();
  const config = resolveRemote([`127.0.0.1:${port}`], { waitersPerKey, maxWaitLanes });
  const backends = Array.from({ length: PROCESSES }, () => new RemoteBackend(config, systemClock, systemEntropy));
  try {
    for (const backend of backends) await backend.start();
    const semaphore = new Semaphore(backends, setting);
    for (const one of steps) await semaphore.step(one);
    await semaphore.finish();
    expect(semaphore.wrongs).toEqual([]);
  } finally {
    for (const backend of backends) await backend.close(20);
    await server.close();
  }
}

describe('key queues of a semaphore', () => {
  it(
    'never overtake, never leave a slot free while somebody waits, and have as many places as they may',
    () => fc.assert(fc.asyncProperty(setting, play), { numRuns: RUNS, interruptAfterTimeLimit: 60_000 + RUNS * 1000 }),
    120_000 + RUNS * 1000,
  );
});
