import type { LockError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { LockKind } from '../backend.js';
import type { LockKeys } from './scripts/companion-keys.js';

/** The keys of a lock or a semaphore, and what is known of it. */
export interface KnownKeys extends LockKeys {
  /** Somebody else had it, or waited for it, when it was last asked for. */
  isContended?: boolean;
  /** Ops that must not overtake one that may have to be sent again. Those of the outbox. */
  behind?: Op[] | undefined;
}

/** What is done to one key: an op of a script. */
export interface Op {
  readonly kind: LockKind;
  readonly keys: KnownKeys;
  /** As in the tables at the scripts. */
  readonly op: string;
  readonly x: string;
  readonly y: string;
  /** Of a semaphore. */
  readonly limit: number;
  /** When the request left; NaN until then. Set by the outbox. */
  sentAt: Ms;
  /** Not wanted any more: is not sent, if it has not been. */
  isDropped: boolean;
  /** Called once, in the turn in which the answer arrives. None of the three must throw. */
  answered(reply: unknown): void;
  /** It has not been carried out, and would not be if it were sent again. */
  refused(error: LockError): void;
  /** Nobody knows whether it has been carried out, or it may be later. */
  unanswered(error: LockError): void;
}

/** Something to be done again, later. */
export interface Retried {
  retry(): void;
}
