import type { LockLostError } from '../common/errors.js';
import type { Clock, Ms } from '../common/system.js';
import type { LockLostEvent } from './events.js';
import type { Lease } from './lease.js';
import type { LockHandle } from './lock-handle.js';

/** What everybody is told who listens for losses. @param lease the one that was lost @param since when the hold began */
export function lossEvent(
  hold: LockHandle,
  { grant }: Lease,
  since: Ms,
  clock: Clock,
  error: LockLostError,
): LockLostEvent {
  const { req, server } = grant;
  return {
    type: 'lost',
    keys: hold.keys,
    grants: hold.grants,
    ...(req.kind === 'sem' ? { limit: req.limit } : undefined),
    reason: error.reason,
    heldMs: clock.now() - since,
    server,
    at: clock.wall(),
    error,
  };
}
