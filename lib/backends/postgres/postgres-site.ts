import type { Alarms } from '../../common/alarms.js';
import type { LockError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { AcquireRequest } from '../backend.js';
import type { BackendConfig } from './options.js';
import type { PostgresGrant } from './postgres-grant.js';
import type { LockQueue } from './queues/lock-queue.js';
import type { QueueSite } from './queues/queue-site.js';
import type { Tenure } from './queues/tenure.js';

/** A caller with a ticket. */
export interface TicketCaller {
  giveUp(error: LockError): void;
  /** There is a command session again. */
  resume(): void;
}

/** What the parts of a Postgres backend share. */
export interface PostgresSite extends QueueSite {
  readonly config: BackendConfig;
  /** Of callers that wait: they keep the process alive. */
  readonly waits: Alarms;
  /** Callers with tickets that have not been answered. */
  readonly tickets: Set<TicketCaller>;
  /**
   * Calls back with the queue of a key: at once, unless the server has to compute its id.
   * @throws LockKeyError
   */
  lockQueueOf(key: string, done: (queue: LockQueue | undefined, error?: LockError) => void): void;
  /** Hands a turn of a tenure to a caller. */
  grant(req: AcquireRequest, tenure: Tenure, leaseMs: Ms): PostgresGrant;
}
