import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Session } from '../sessions/session.js';

/** A slot that the command session has. */
export interface SlotGrant {
  readonly session: Session;
  readonly slot: bigint;
  readonly fence: bigint;
  readonly sentAt: Ms;
}

/** Who tries for a slot. Exactly one of the three is called, once, unless the trial is dropped. They must not throw. */
export interface SlotUser {
  granted(grant: SlotGrant): void;
  /** No slot is free, or somebody waits for one. */
  refused(): void;
  /** LimitMismatchError, LockUnavailableError, … */
  failed(error: LockError): void;
}
