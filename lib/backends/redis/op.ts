import type { LockError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { LockKind } from '../backend.js';
import type { LockKeys } from './scripts/companion-keys.js';

/** The keys of a lock or a semaphore, and what is known of it. */
export interface KnownKeys extends LockKeys {
  /** Somebody else held the key or waited for it when it was last asked for. */
  isContended?: boolean;
  /** Ops that must not overtake one that may have to be sent again. Used by the outbox. */
  behind?: Op[] | undefined;
}

/** An operation on one key, as one op of a script. */
export interface Op {
  readonly kind: LockKind;
  readonly keys: KnownKeys;
  /** Their meaning is in the tables above the scripts. */
  readonly op: string;
  readonly x: string;
  readonly y: string;
  /** Of a semaphore. */
  readonly limit: number;
  /** When the request left; NaN until then. Set by the outbox. */
  sentAt: Ms;
  /** Nobody wants the answer any more: the op is not sent unless it has been already. */
  isDropped: boolean;
  /** One of the three is called once, in the turn in which the answer arrives. They must not throw. */
  answered(reply: unknown): void;
  /** Redis has not executed the op, and would not if it were sent again. */
  refused(error: LockError): void;
  /** Nobody knows whether Redis has executed the op, or still will. */
  unanswered(error: LockError): void;
}

/** Something that is tried again later. */
export interface Retried {
  retry(): void;
}
