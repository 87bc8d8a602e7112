import { KeyQueue } from '../../../../../lib/backends/dflockd/queues/key-queue.js';
import { FakeWaiter } from './fake-lane.js';
import { FakeQueuePool } from './fake-queue-pool.js';

/** Whose queue it is, and what it asks the server for. */
export const resource = { kind: 'lock', key: 'k', limit: 1 } as const;
export const TAKE = { t: 'acquire', kind: 'lock', key: 'k', limit: 1, leaseMs: 10_000 };

/** Those of the test: `make` makes new ones. */
export let pool: FakeQueuePool;
export let queue: KeyQueue;
/** Its changes of state. */
export let changes: string[];

export function make(state: 'trying' | 'pausing'): void {
  changes = [];
  pool = new FakeQueuePool();
  queue = new KeyQueue(resource, pool, { changed: (of, from) => changes.push(`${from} → ${of.state}`) }, state);
}

export function join(waiter = new FakeWaiter()): FakeWaiter {
  queue.join(waiter);
  return waiter;
}
