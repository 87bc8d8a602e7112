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
  /** Of those who wait: they keep the process alive. */
  readonly waits: Alarms;
  /** Of everything else: they do not. */
  readonly alarms: Alarms;
  readonly salts: Salts;
  readonly counts: RedisCounts;
  readonly retries: Retries;
  /** Those that are in no queue: their request has not been answered. */
  readonly open: LinkedList<QueuedWaiter>;
  /** Those in queues, and what they were granted, by the salt of the request: of these, more may be told. */
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
  /** Adds it to the outbox of its kind. */
  send(op: Op): void;
  renew(renewal: Renewal): void;
  /** More may be told of this grant. */
  hold(grant: Asker & { isKnown: boolean }, salt: string): void;
  /** Who has asked with this salt. */
  asker(salt: string): Asker | undefined;
  /** Has a grant delivered to whom it is for, or freed if nobody wants it. */
  tell(told: Told): void;
  /** The waiter has a place in the queue. `reply`: rank, time left, holder. */
  enter(waiter: QueuedWaiter, reply: readonly unknown[]): void;
  /** Takes a waiter, or what it was granted, from the queue: repeated until it is answered. */
  withdraw(waiter: { readonly kind: LockKind; readonly keys: LockKeys; readonly limit: number }, member: string): void;
  /** Redis serves less well than it should. The same is not told again for a while. */
  degraded(detail: string): void;
}
