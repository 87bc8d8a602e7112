import { LockLostError, type LossReason } from '../../common/errors.js';
import type { Lease } from '../lease/lease.js';

/** held → released | lost. */
export type Fate = { is: 'held' } | { is: 'released' } | { is: 'lost'; error: LockLostError };

/**
 * Makes the LockLostError of a lock, for its holder; the error names the lost key. When a connection ends, all of this
 * happens in one turn: `Lane.end` → `LossListeners.tell` → the listener in `bunchOf` (lost-owners.ts) → `Lease.lose` →
 * `HeldLock.lost` → `HeldLock.lose`, which makes the error here, aborts the signal, and reports the loss as an event.
 *
 * @param keys of the leases, in their order
 */
export const lossOf = (
  keys: readonly string[],
  leases: readonly Lease[],
  lost: Lease,
  reason: LossReason,
  cause?: Error,
): LockLostError => new LockLostError(keys[leases.indexOf(lost)]!, reason, { server: lost.grant.server, cause });

/** The loss of a part in a lock (see JoinedLock), from that of the whole lock. */
export const lossOfPart = (keys: readonly string[], loss: LockLostError): LockLostError =>
  new LockLostError(keys[0]!, loss.reason, { server: loss.server, cause: loss });
