import type { Alarms } from '../../common/alarms.js';
import type { LockError } from '../../common/errors.js';
import type { LinkedList } from '../../common/linked-list.js';
import type { Clock } from '../../common/system.js';
import type { LockKind } from '../backend.js';
import type { ChannelUse } from './channels.js';
import type { Joins } from './joins.js';
import type { RedisConfig } from './options.js';
import type { Op } from './op.js';
import type { Renewal } from './renewals.js';
import type { Retries } from './retries.js';
import type { LockKeys } from './scripts/companion-keys.js';
import type { Salts } from './scripts/token.js';
import type { Asker, QueuedWaiter, Told } from './waiting.js';

/** How often something has happened. */
export interface RedisCounts {
  /** Reports of this process that it is alive, while it waits. */
  pokes: number;
  /** Waiters that were no longer in the queue, and entered it again. */
  lostPlaces: number;
  /** Grants that were renewed before they were handed out, because their leases might have ended soon. */
  confirmations: number;
  /** Grants for which nobody waited, and which were released. */
  orphans: number;
}

/** What the parts of a Redis backend share. */
export interface RedisSite {
  readonly clock: Clock;
  readonly config: RedisConfig;
  readonly server: string;
  /** The alarms of waiting callers. They keep the process alive. */
  readonly waits: Alarms;
  /** All other alarms. They do not keep the process alive. */
  readonly alarms: Alarms;
  readonly salts: Salts;
  readonly counts: RedisCounts;
  readonly retries: Retries;
  /** Waiters whose requests have not been answered, so that they are in no queue yet. */
  readonly open: LinkedList<QueuedWaiter>;
  /** Queued waiters and their grants, by the salt of the request: Redis may still send news of them. */
  readonly bySalt: Map<string, Asker>;
  readonly channels: ChannelUse;
  readonly joins: Joins;
  /** The id of this client. */
  readonly client: string;
  /** Why nothing can be sent at the moment. */
  readonly outage: LockError | undefined;
  /** Why nothing will be sent any more. */
  readonly ended: LockError | undefined;
  /** A number in [0, 1). */
  unit(): number;
  /** Adds an op to the outbox of its kind. */
  send(op: Op): void;
  renew(renewal: Renewal): void;
  /** Redis may still send news of this grant. */
  hold(grant: Asker & { isKnown: boolean }, salt: string): void;
  /** The waiter that used this salt in its request. */
  asker(salt: string): Asker | undefined;
  /** Delivers a grant to its waiter, or frees it if nobody wants it. */
  tell(told: Told): void;
  /** The waiter has a place in the queue. `reply`: rank, time left, holder. */
  enter(waiter: QueuedWaiter, reply: readonly unknown[]): void;
  /** Removes a waiter from the queue and releases its grant, if any. Repeated until Redis answers. */
  withdraw(waiter: { readonly kind: LockKind; readonly keys: LockKeys; readonly limit: number }, member: string): void;
  /** Reports that Redis serves less well than it should. The same text is not repeated for a while. */
  degraded(detail: string): void;
}
