import type { Ms } from '../../../common/system.js';
import type {
  EngineObserver,
  FreedBy,
  LeftBy,
  ObservedHold,
  ObservedResource,
  ObservedWaiter,
  Refusal,
} from '../../../core/observer.js';
import type { Kind } from '../../../protocol/messages.js';
import { Histogram, type Sample } from './exposition.js';

/** Upper bounds in seconds: from an uncontended lock to a nightly job. */
const WAIT_BOUNDS = [0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300];
const HOLD_BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 3600];

type Counts<T extends string> = Record<T, number>;

/** The label of a kind. */
const KIND = { lock: 'lock', sem: 'semaphore' } as const satisfies Record<Kind, string>;
const KINDS = ['lock', 'sem'] as const;

const byKind = (bounds: readonly number[]): Record<Kind, Histogram> => ({
  lock: new Histogram(bounds),
  sem: new Histogram(bounds),
});

const byLabel = (label: string, counts: Readonly<Counts<string>>): Sample[] =>
  Object.entries(counts).map(([of, value]) => ({ labels: { [label]: of }, value }));

/** What a table of resources has at the moment. */
interface Level {
  holders: number;
  waiters: number;
}

/** Counts what an engine does, for `/metrics`. Adds to numbers and keeps nothing that it is given. */
export class EngineMetrics implements EngineObserver {
  /** Of limit 1, semaphores included: the original tells them apart by their limit only. */
  readonly single: Level = { holders: 0, waiters: 0 };
  /** Of a greater limit. */
  readonly multiple: Level = { holders: 0, waiters: 0 };
  private readonly waits = byKind(WAIT_BOUNDS);
  private readonly holds = byKind(HOLD_BOUNDS);
  private readonly grants: Counts<Kind> = { lock: 0, sem: 0 };
  private readonly freedBy: Counts<FreedBy> = { release: 0, expiry: 0, disconnect: 0 };
  private readonly leftBy: Counts<LeftBy> = { timeout: 0, cancel: 0, disconnect: 0 };
  private readonly refusals: Counts<Refusal> = {
    max_locks: 0,
    max_waiters: 0,
    limit_mismatch: 0,
    draining: 0,
    already_enqueued: 0,
  };
  /** How often leases were extended. */
  renewals = 0;
  /** How many queues have each length; the last entry is of the longest. */
  private readonly queues: number[] = [];

  /** Takes over what an engine has when this observer is attached to it. */
  existing(res: ObservedResource): void {
    const level = this.levelOf(res);
    level.holders += res.holders.size;
    const { size } = res.queue;
    level.waiters += size;
    if (size > 0) this.changeQueue(size, 1);
  }

  granted(kind: Kind, _key: string, waitedMs: Ms, { res }: ObservedHold, waiter: ObservedWaiter | undefined): void {
    this.grants[kind]++;
    const level = this.levelOf(res);
    level.holders++;
    if (waiter) this.shorten(level, res);
    // Not a number if the waiter is older than this observer.
    if (waitedMs >= 0) this.waits[kind].add(waitedMs / 1000);
  }

  freed(kind: Kind, _key: string, heldMs: Ms, by: FreedBy, { res }: ObservedHold): void {
    this.freedBy[by]++;
    this.levelOf(res).holders--;
    if (heldMs >= 0) this.holds[kind].add(heldMs / 1000);
  }

  queued(_kind: Kind, _key: string, length: number, { res }: ObservedWaiter): void {
    this.levelOf(res).waiters++;
    if (length > 1) this.changeQueue(length - 1, -1);
    this.changeQueue(length, 1);
  }

  left(_kind: Kind, _key: string, _waitedMs: Ms, by: LeftBy, { res }: ObservedWaiter): void {
    this.leftBy[by]++;
    this.shorten(this.levelOf(res), res);
  }

  refused(status: Refusal): void {
    this.refusals[status]++;
  }

  extended(): void {
    this.renewals++;
  }

  get longestQueue(): number {
    return Math.max(this.queues.length - 1, 0);
  }

  get waitTimes(): [{ kind: string }, Histogram][] {
    return KINDS.map((kind) => [{ kind: KIND[kind] }, this.waits[kind]]);
  }

  get holdTimes(): [{ kind: string }, Histogram][] {
    return KINDS.map((kind) => [{ kind: KIND[kind] }, this.holds[kind]]);
  }

  get grantCounts(): Sample[] {
    return KINDS.map((kind) => ({ labels: { kind: KIND[kind] }, value: this.grants[kind] }));
  }

  get freedCounts(): Sample[] {
    return byLabel('by', this.freedBy);
  }

  get leftCounts(): Sample[] {
    return byLabel('by', this.leftBy);
  }

  get refusalCounts(): Sample[] {
    return byLabel('status', this.refusals);
  }

  private levelOf(res: ObservedResource): Level {
    return res.limit === 1 ? this.single : this.multiple;
  }

  /** A waiter has left the queue, which already has its new length. */
  private shorten(level: Level, { queue }: ObservedResource): void {
    level.waiters--;
    this.changeQueue(queue.size + 1, -1);
    if (queue.size > 0) this.changeQueue(queue.size, 1);
  }

  private changeQueue(length: number, by: 1 | -1): void {
    const { queues } = this;
    while (queues.length <= length) queues.push(0);
    queues[length]! += by;
    while (queues.length > 0 && queues[queues.length - 1] === 0) queues.pop();
  }
}
