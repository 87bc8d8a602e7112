import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Waiting } from '../../queues/local-waiters.js';
import type { Tenure } from './tenure.js';

/** A caller that waits for a key, with an alarm of its own for its deadline. */
export interface QueueWaiter extends Waiting<QueueWaiter> {
  /** The key as the caller wrote it: several keys may share an id, and so a queue. */
  readonly key: string;
  /** When the waiter began to wait, if that was before it joined the queue or before its try. */
  since?: Ms | undefined;
  /** Whether the caller does not wait: if a try is refused, it is told `busy`. */
  readonly isTry: boolean;
  /** From now on, its deadline counts even if a request is under way. */
  waits(): void;
  /** The lock is taken. As for the next two, the waiter has been removed from the queue. */
  busy(): void;
  granted(tenure: Tenure): void;
  failed(error: LockError): void;
}
