import { ExpiryHeap } from '../common/expiry-heap.js';
import type { Ms } from '../common/system.js';
import { batchSize } from './batch-size.js';
import type { Resource } from './resource.js';

/**
 * When leases end. A lease has three states: it runs; it has lapsed (its end was noticed, and it can no longer be
 * renewed); it has been taken away, by the next sweep or by an earlier request for the key (spec 4.4). Only `notice`
 * judges by time, and it gets the time up to which the host has read its input: a host that stalled must not end leases
 * whose renewals lie unread in its buffers.
 */
export class LeaseExpiry {
  private readonly running = new ExpiryHeap<Resource>();
  private readonly lapsed = new Set<Resource>();
  private sweepAt: Ms = Infinity;

  /** @param sweepIntervalMs the option `leaseSweepInterval` */
  constructor(
    private readonly sweepIntervalMs: Ms,
    private readonly start: Ms,
  ) {}

  /** Must be called after the holders of a resource or their leases have changed. */
  track(res: Resource): void {
    const due = res.holders.nextDue;
    if (due === Infinity) this.running.remove(res);
    else if (res.slot < 0 || res.due !== due) this.running.set(res, due);
    if (!res.holders.hasLapsed && this.lapsed.size > 0) this.lapsed.delete(res);
  }

  get nextWake(): Ms {
    const { firstDue } = this.running;
    return this.lapsed.size > 0 && this.sweepAt < firstDue ? this.sweepAt : firstDue;
  }

  /**
   * Marks leases that end by `seen` as lapsed; everything that arrived until then has been executed. If there are more
   * than a portion, `nextWake` stays in the past.
   */
  notice(seen: Ms): void {
    for (let left = batchSize(this.running.size); left > 0 && this.running.firstDue <= seen;) {
      const res = this.running.first!;
      if (this.lapsed.size === 0) this.sweepAt = Infinity;
      this.sweepAt = Math.min(this.sweepAt, this.tickFrom(res.due));
      left -= res.holders.lapse(seen, left);
      this.lapsed.add(res);
      this.track(res);
    }
  }

  /**
   * Once the sweep is due, yields resources with lapsed leases, the oldest first, until the caller has taken away a
   * portion of leases. A resource that still has lapsed leases goes to the end. A host that was late sweeps several
   * ticks at once.
   */
  *takeSwept(seen: Ms): Generator<Resource, void> {
    if (this.sweepAt > seen) return;
    let left = batchSize(this.lapsed.size);
    for (const res of this.lapsed) {
      if (left <= 0) return;
      this.lapsed.delete(res);
      const { size } = res.holders;
      yield res;
      left -= Math.max(1, size - res.holders.size);
      if (res.holders.hasLapsed) this.lapsed.add(res);
    }
  }

  private tickFrom(time: Ms): Ms {
    return this.start + Math.ceil((time - this.start) / this.sweepIntervalMs) * this.sweepIntervalMs;
  }
}
