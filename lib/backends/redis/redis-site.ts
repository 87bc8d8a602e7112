import type { Alarms } from '../../common/alarms.js';
import type { LockError } from '../../common/errors.js';
import type { Clock, Ms } from '../../common/system.js';
import type { LockKind } from '../backend.js';
import type { ChannelUse } from './channels.js';
import type { RedisConfig } from './options.js';
import type { Op } from './op.js';
import type { RedisAcquire } from './redis-acquire.js';
import type { RedisGrant } from './redis-grant.js';
import type { Renewal } from './renewals.js';
import type { Retries } from './retries.js';
import type { LockKeys } from './scripts/keys.js';
import type { Salts } from './scripts/token.js';

/** What happened so often. */
export interface RedisCounts {
  pokes: number;
  lostPlaces: number;
  confirmations: number;
  orphans: number;
}

/** What an answer or a message says about a grant. */
export interface Told {
  readonly token: string;
  readonly kind: LockKind;
  /** The full key. */
  readonly key: string;
  /** When what led to it was sent; undefined: some time after the waiter was last seen in the queue. */
  readonly validFrom: Ms | undefined;
  /** Undefined: as long as was asked for. */
  readonly leaseMs: Ms | undefined;
  /** The lease is short until it has been renewed. */
  readonly confirm: boolean;
}

/** What the parts of a Redis backend share. */
export interface RedisSite {
  readonly clock: Clock;
  readonly config: RedisConfig;
  readonly server: string;
  /** Of those who wait: they keep the process alive. */
  readonly waits: Alarms;
  readonly salts: Salts;
  readonly counts: RedisCounts;
  readonly retries: Retries;
  /** Who asks with a salt, and who holds what was granted for it. */
  readonly bySalt: Map<string, RedisAcquire | RedisGrant>;
  readonly channels: ChannelUse;
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
  /** Has a grant delivered to whom it is for, or freed if nobody wants it. */
  tell(told: Told): void;
  /** The waiter has a place in the queue. `reply`: rank, time left, holder. */
  enter(waiter: RedisAcquire, reply: readonly unknown[]): void;
  /** Takes a waiter, or what it was granted, from the queue: repeated until it is answered. */
  withdraw(waiter: { readonly kind: LockKind; readonly keys: LockKeys; readonly limit: number }, member: string): void;
  /** Redis serves less well than it should. The same is not told again for a while. */
  degraded(detail: string): void;
}
