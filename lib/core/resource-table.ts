import { LinkedList } from '../common/linked-list.js';
import type { Ms } from '../common/system.js';
import { ownBytes } from '../protocol/bytes.js';
import type { Kind, Limit } from '../protocol/messages.js';
import { KeyMap } from './key-map.js';
import { batchSize } from './batch-size.js';
import { Resource } from './resource.js';
import type { EngineOptions } from './types.js';

/** All resources by kind and key, and the garbage collection of idle ones (spec 4.1, 4.7). */
export class ResourceTable {
  private nearlyFull = false;
  private readonly byKey: Readonly<Record<Kind, KeyMap<Resource>>> = { lock: new KeyMap(), sem: new KeyMap() };
  /** Oldest first. */
  private readonly idle = new LinkedList<Resource>();
  private walks = 0;

  constructor(
    private readonly options: Pick<EngineOptions, 'maxLocks' | 'gcIntervalMs' | 'gcMaxIdleMs' | 'onNearlyFull'>,
    private readonly start: Ms,
  ) {}

  get size(): number {
    return this.byKey.lock.size + this.byKey.sem.size;
  }

  get(kind: Kind, key: string): Resource | undefined {
    return this.byKey[kind].get(key);
  }

  /** The resource of a key, created if necessary, or the reason for a refusal. */
  open(kind: Kind, key: string, limit: Limit): Resource | 'limit_mismatch' | 'max_locks' {
    const known = this.byKey[kind].get(key);
    if (known) return known.limit === limit ? known : 'limit_mismatch';
    if (this.size >= this.options.maxLocks) return 'max_locks';
    const made = new Resource(kind, ownBytes(key), limit, this.walks);
    this.byKey[kind].add(made.key, made);
    if (!this.nearlyFull && this.size >= this.options.maxLocks * 0.8) {
      this.nearlyFull = true;
      this.options.onNearlyFull?.(this.size);
    }
    return made;
  }

  /** Must be called after holders or waiters of a resource have changed: it may become idle, or busy again. */
  settle(res: Resource, now: Ms): void {
    const empty = res.holders.size === 0 && res.queue.size === 0;
    if (empty === (res.idleSince !== undefined)) return;
    if (empty) {
      res.idleSince = now;
      this.idle.push(res);
    } else {
      res.idleSince = undefined;
      this.idle.remove(res);
    }
  }

  /** The first tick at which the longest idle resource may be removed: its idle time must exceed the maximum. */
  get nextCollection(): Ms {
    const oldest = this.idle.head;
    if (!oldest) return Infinity;
    const { gcIntervalMs, gcMaxIdleMs } = this.options;
    const tick = Math.floor((oldest.idleSince! + gcMaxIdleMs - this.start) / gcIntervalMs) + 1;
    return this.start + tick * gcIntervalMs;
  }

  /** Removes a portion of idle resources; if more are due, `nextCollection` stays in the past. */
  collect(now: Ms): void {
    for (let left = batchSize(this.idle.size); left > 0 && this.nextCollection <= now; left--) {
      const oldest = this.idle.head!;
      this.idle.remove(oldest);
      this.byKey[oldest.kind].delete(oldest.key);
    }
    if (this.size < this.options.maxLocks / 2) this.nearlyFull = false;
  }

  /**
   * Yields each resource that exists now, unless it is removed before its turn: resources may come and go between two
   * steps. Yields undefined for one created later, because its key may have been visited before.
   */
  walk(): Generator<Resource | undefined, void> {
    return this.olderThan(++this.walks);
  }

  private *olderThan(walk: number): Generator<Resource | undefined, void> {
    for (const keys of [this.byKey.lock, this.byKey.sem]) {
      for (const res of keys.values()) yield res.born < walk ? res : undefined;
    }
  }
}
