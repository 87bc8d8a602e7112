import { judge } from '../checks/index.js';
import type { Evidence, Violation } from '../log/evidence.js';
import { nanos } from '../log/time.js';
import type { HolderOptions } from '../processes/holder.js';
import { Stage } from '../lab/stage.js';

/** A line of the table, as it was measured. */
export interface Row {
  readonly fault: string;
  /** What this package promises. */
  readonly promise: string;
  readonly runs: number;
  readonly measured: string;
  readonly violations: readonly Violation[];
  readonly evidence: Evidence;
  /** When it began, nanoseconds; where all runs had it at once. */
  readonly faultAt?: number;
}

/** How large the runs of a row are. */
export interface Scale {
  readonly readTimeoutS: number;
  /** Locks, each with a connection and a proxy of its own. */
  readonly locks: number;
}

export const HOLDER: HolderOptions = { prefix: 'k', leaseS: 30, waitS: 5, readTimeoutS: 2 };

/** Locks of a process: few enough that it is not the process that is slow. */
export const LOCKS_PER_WORKER = 50;

/** A stage for one row. What goes wrong in it is noted. */
export class Scene {
  readonly violations: Violation[] = [];

  private constructor(readonly stage: Stage) {}

  static async open<T>(daemonOptions: object, play: (scene: Scene) => Promise<T>): Promise<T> {
    const stage = await Stage.open({ maxLocks: 10_000, leaseSweepInterval: 1, shutdownTimeout: 5, ...daemonOptions });
    try {
      return await play(new Scene(stage));
    } finally {
      await stage.close();
    }
  }

  /** Processes with that many holders in all, each process with locks of its own. */
  async holders(locks: number, options: Partial<HolderOptions>, door: 'proxied' | 'direct' = 'proxied'): Promise<void> {
    for (let first = 0; first < locks; first += LOCKS_PER_WORKER) {
      const count = Math.min(LOCKS_PER_WORKER, locks - first);
      const own = { ...HOLDER, ...options, prefix: `${options.prefix ?? HOLDER.prefix}${first}-` };
      await this.stage.addWorker('holder', count, [JSON.stringify(own)], { door });
    }
  }

  expect(truth: boolean, text: string): void {
    if (!truth) this.violations.push({ check: 'table', at: nanos(), text });
  }

  async ask<T>(what: string, ...args: unknown[]): Promise<T[]> {
    return Promise.all(this.stage.posts.map(({ child }) => child.ask<T>(what, ...args)));
  }

  /** The logs so far. */
  logs(): Promise<Evidence> {
    return this.stage.evidence(this.violations);
  }

  /** The methods under the locks end: their locks were lost, and nothing else is said of any of them. */
  async allSettleAsLost(): Promise<void> {
    const settled = (await this.ask<string[]>('settle')).flat();
    this.expect(
      settled.every((one) => one === 'lost'),
      `methods under lost locks were reported as ${[...new Set(settled)].join(', ')}`,
    );
  }

  /** Everybody gives back what it holds, and leaves. */
  async finish(): Promise<void> {
    await this.ask('settle');
    await this.ask('finish');
  }

  /** What nobody holds any more may last for one lease. */
  async untilNothingIsHeld(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    let left: string[];
    do left = await this.stage.daemon.ask<string[]>('held');
    while (left.length > 0 && performance.now() < deadline);
    this.expect(left.length === 0, `still held or waited for: ${left.join(', ')}`);
  }

  /** The end of it all: the logs are judged as those of any round. */
  async row(fault: string, promise: string, runs: number, measured: string): Promise<Row> {
    await this.finish();
    const evidence = await this.logs();
    const violations = [...judge(evidence).violations];
    return { fault, promise, runs, measured, violations, evidence };
  }
}

export const ms = (ns: number): string => (ns / 1e6).toFixed(1);

export function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

export const largest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), -Infinity);
