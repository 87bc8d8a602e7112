import type { LockLostError } from '../../common/errors.js';
import type { Clock, Ms } from '../../common/system.js';
import type { LockEvent, LockLostEvent } from '../events/events.js';
import type { Lease } from '../lease/lease.js';
import type { LockHandle } from './lock-handle.js';

/**
 * Builds the events of a hold. HeldLock decides when there is one, and ClientEvents emits it. `since`: when the hold
 * began, by the monotonic clock.
 */

export const renewedEvent = ({ keys }: LockHandle, leaseMs: Ms, clock: Clock): LockEvent => ({
  type: 'renewed',
  keys,
  leaseMs,
  at: clock.wall(),
});

export const releasedEvent = ({ keys }: LockHandle, since: Ms, clock: Clock): LockEvent => ({
  type: 'released',
  keys,
  heldMs: clock.now() - since,
  at: clock.wall(),
});

export function lossEvent(
  { keys, grants }: LockHandle,
  { grant: { req, server } }: Lease,
  error: LockLostError,
  since: Ms,
  clock: Clock,
): LockLostEvent {
  return {
    type: 'lost',
    keys,
    grants,
    ...(req.kind === 'sem' ? { limit: req.limit } : undefined),
    reason: error.reason,
    heldMs: clock.now() - since,
    server,
    at: clock.wall(),
    error,
  };
}
