import type { LockError } from '../../common/errors.js';
import type { Linked } from '../../common/linked-list.js';
import type { Ms } from '../../common/system.js';
import type { LockKind } from '../backend.js';
import type { LockKeys } from './scripts/companion-keys.js';

/** What an answer or a message says about a grant. */
export interface Told {
  readonly token: string;
  readonly kind: LockKind;
  /** The full key. */
  readonly key: string;
  /** When the request that led to the grant was sent. Undefined: some time after the waiter was last seen in the queue. */
  readonly validFrom: Ms | undefined;
  /** Undefined: the lease that was asked for. */
  readonly leaseMs: Ms | undefined;
  /** The lease is short until it has been renewed. */
  readonly confirm: boolean;
}

/** A caller whose request carries a salt. */
export interface Asker {
  told(told: Told): void;
}

/** A caller that waits for a key. */
export interface QueuedWaiter extends Asker, Linked<QueuedWaiter> {
  /** The salt of its last request. */
  readonly x: string;
  readonly kind: LockKind;
  readonly keys: LockKeys;
  readonly limit: number;
  /** Its name in the queue. */
  readonly member: string;
  readonly isQueued: boolean;
  /** The queue it is in. Set by that queue. */
  queue: { remove(waiter: QueuedWaiter): void } | undefined;
  /** A poke sent at that time found the waiter in the queue. */
  seen(at: Ms): void;
  /** The waiter was dropped from the queue, and asks again. */
  displaced(): void;
  /** The key in Redis is not a lock. */
  refused(error: LockError): void;
  /** No grant will come any more: the waiter leaves and tells its caller why. */
  giveUp(error: LockError): void;
}
