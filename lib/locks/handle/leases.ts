import { LockLostError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { Lease } from '../lease/lease.js';
import { lossOf } from './lock-lost-error.js';

export function endAll(leases: readonly Lease[]): void {
  for (const lease of leases) lease.end();
}

/**
 * Renews all leases at once and waits for all of them. Never rejects: resolves with the first failure, in which a
 * loss names its key.
 */
export async function renewAll(
  keys: readonly string[],
  leases: readonly Lease[],
  leaseMs: Ms | undefined,
): Promise<PromiseRejectedResult | undefined> {
  const outcomes = await Promise.allSettled(
    leases.map(async (lease) => {
      // A hold that is being released has nothing left to renew.
      if (lease.ended) throw lossOf(keys, leases, lease, 'expired');
      try {
        await lease.renew(leaseMs);
      } catch (error) {
        throw error instanceof LockLostError ? lossOf(keys, leases, lease, error.reason, error) : error;
      }
    }),
  );
  return outcomes.find((outcome) => outcome.status === 'rejected');
}
