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
  /** When what led to it was sent; undefined: some time after the waiter was last seen in the queue. */
  readonly validFrom: Ms | undefined;
  /** Undefined: as long as was asked for. */
  readonly leaseMs: Ms | undefined;
  /** The lease is short until it has been renewed. */
  readonly confirm: boolean;
}

/** Whoever has asked for a lock with a salt. */
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
  /** As it stands in the queue. */
  readonly member: string;
  readonly isQueued: boolean;
  /** The queue that it is in, set by that queue. */
  queue: { remove(waiter: QueuedWaiter): void } | undefined;
  /** A poke that was sent then has found it in the queue. */
  seen(at: Ms): void;
  /** It has been dropped from the queue: asks again. */
  displaced(): void;
  /** Its key is no lock. */
  refused(error: LockError): void;
  /** Nothing will come any more: leaves, and tells its caller why. */
  giveUp(error: LockError): void;
}
