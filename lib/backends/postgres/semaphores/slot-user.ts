import type { Ms } from '../../../common/system.js';
import type { AnyTryOp } from '../commands/commands.js';
import type { Session } from '../sessions/session.js';

/** A slot that the command session has. */
export interface SlotGrant {
  readonly session: Session;
  readonly slot: bigint;
  readonly fence: bigint;
  readonly sentAt: Ms;
}

/**
 * A try for a slot. As with every try, exactly one of the callbacks is called, once, except for `overdue`. They must not throw.
 * `refused`: no slot is free, or somebody waits for one. `failed`: LimitMismatchError, LockUnavailableError, …
 */
export interface SlotUser extends AnyTryOp {
  /** A slot was granted. It must be released, even if nobody waits for it any more. */
  granted(grant: SlotGrant): void;
}
