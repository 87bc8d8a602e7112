import type { LockError } from '../../../common/errors.js';
import { KeyQueue, type KeyQueueKeeper } from './key-queue.js';
import type { QueuePool } from './queue-pool.js';
import type { Resource } from './local-waiter.js';
import type { KeyQueueState } from './key-queue-state.js';

const nameOf = ({ kind, limit, key }: Resource): string => `${kind} ${limit} ${key}`;

/** All key queues of one server. */
export class KeyQueues implements KeyQueueKeeper {
  private readonly byName = new Map<string, KeyQueue>();
  /** Key queues that poll because no lane is available; the longest-waiting first. */
  private readonly starving = new Set<KeyQueue>();

  constructor(
    private readonly pool: QueuePool,
    private readonly degraded: (detail: string) => void,
  ) {}

  get size(): number {
    return this.byName.size;
  }

  get polling(): number {
    return this.starving.size;
  }

  /** While a key has a queue, no try may pass it. */
  find(resource: Resource): KeyQueue | undefined {
    return this.byName.size > 0 ? this.byName.get(nameOf(resource)) : undefined;
  }

  /** @param state the initial state if the queue has to be created */
  findOrMake(resource: Resource, state: 'trying' | 'pausing' = 'pausing'): KeyQueue {
    const name = nameOf(resource);
    let queue = this.byName.get(name);
    if (!queue) {
      queue = new KeyQueue(resource, this.pool, this, state);
      this.byName.set(name, queue);
    }
    return queue;
  }

  /** A lane may be available: the queues that have waited longest come first. */
  spare(): void {
    for (const queue of [...this.starving]) {
      queue.retry();
      if (queue.state === 'polling') return;
    }
  }

  /** The server is connected again. */
  resume(): void {
    for (const queue of [...this.byName.values()]) queue.resume();
  }

  /** Refuses all waiters. */
  fail(error: LockError): void {
    for (const queue of [...this.byName.values()]) queue.fail(error);
  }

  /** KeyQueueKeeper */
  changed(queue: KeyQueue, from: KeyQueueState): void {
    if (from === 'polling') this.starving.delete(queue);
    if (queue.state === 'over') this.byName.delete(nameOf(queue.resource));
    if (queue.state !== 'polling') return;
    this.starving.add(queue);
    // A shortage on the server's side has been reported already.
    if (this.starving.size > 1 || this.pool.shortage !== undefined) return;
    const { maxWaitLanes } = this.pool.config;
    this.degraded(
      `all ${maxWaitLanes} wait lanes are in use: callers that wait for further keys poll instead (option remote.maxWaitLanes)`,
    );
  }
}
