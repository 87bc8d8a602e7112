import type { LockBackend } from '../backends/backend.js';
import type { Ms } from '../common/system.js';
import type { Lease } from './lease.js';

/**
 * Releases in reverse order, all in one turn, and returns a lease that had been lost, if there was one. The leases must
 * have ended.
 * @throws what a release throws, after all have been answered
 */
export async function giveBack(
  backend: LockBackend,
  leases: readonly Lease[],
  keepMs?: Ms,
): Promise<Lease | undefined> {
  const order = [...leases].reverse();
  const outcomes = await Promise.allSettled(order.map(async (lease) => backend.release(lease.grant, keepMs)));
  const gone = outcomes.findIndex((outcome) => outcome.status === 'fulfilled' && outcome.value === 'gone');
  if (gone >= 0) return order[gone];
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  return undefined;
}
