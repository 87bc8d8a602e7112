import { shown } from '../../../common/shown.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { KeyQueue } from './key-queue.js';

const idKey = (id: AdvisoryId): bigint | string => (typeof id === 'bigint' ? id : id.join());

/** At least this many queues are kept, used or not, because they remember the ids of their keys. */
const KEPT = 10_000;

/** The key queues of one kind. Unused ones are kept for a while, because computing an id costs more than keeping a queue. */
export class KeyQueues<Q extends KeyQueue> {
  private readonly byName = new Map<string, Q>();
  private readonly byId = new Map<bigint | string, { readonly name: string; readonly queue: Q }>();
  private sweepAt = KEPT;

  /** @param degraded called when two keys have the same id */
  constructor(private readonly degraded: (detail: string) => void) {}

  find(name: string): Q | undefined {
    return this.byName.get(name);
  }

  /** Keys with the same id share a queue. */
  add(name: string, id: AdvisoryId, make: () => Q): Q {
    if (this.byName.size >= this.sweepAt) this.sweep();
    const known = this.byId.get(idKey(id));
    if (known && !known.queue.isUnused) this.tell(known.name, name);
    const queue = known?.queue ?? make();
    this.byName.set(name, queue);
    this.byId.set(idKey(id), { name, queue });
    return queue;
  }

  /** Iterates in the order of creation. */
  [Symbol.iterator](): Iterator<Q> {
    return [...this.byId.values()].map(({ queue }) => queue)[Symbol.iterator]();
  }

  private sweep(): void {
    for (const [name, queue] of this.byName) if (queue.isUnused) this.byName.delete(name);
    for (const [id, { queue }] of this.byId) if (queue.isUnused) this.byId.delete(id);
    this.sweepAt = Math.max(KEPT, 2 * this.byName.size);
  }

  private tell(one: string, other: string): void {
    this.degraded(
      `the keys "${shown(one)}" and "${shown(other)}" have the same lock id, so that they exclude each other (option postgresBackend.lockId)`,
    );
  }
}
