import type { LockLostError } from '../common/errors.js';
import type { Ms } from '../common/system.js';
import type { LockLostEvent } from './events.js';
import type { Lease } from './lease.js';
import type { LockHandle } from './lock-handle.js';

/** What an operator is told about a loss. */
export function lossEvent(
  { keys, grants }: LockHandle,
  { grant: { req, server } }: Lease,
  error: LockLostError,
  heldMs: Ms,
  at: Ms,
): LockLostEvent {
  return {
    type: 'lost',
    keys,
    grants,
    ...(req.kind === 'sem' ? { limit: req.limit } : undefined),
    reason: error.reason,
    heldMs,
    server,
    at,
    error,
  };
}
