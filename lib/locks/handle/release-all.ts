import type { Grant, LockBackend, Released } from '../../backends/backend.js';
import type { Ms } from '../../common/system.js';
import type { Lease } from '../lease/lease.js';

/** Releases one grant. Never rejects. */
export const releaseOne = (backend: LockBackend, grant: Grant, keepMs?: Ms): Promise<Released> =>
  new Promise((resolve) => backend.release(grant, resolve, keepMs));

/** Releases and calls back with a lease that had been lost, if any. A single lock needs no promise. */
export function releaseLeases(
  backend: LockBackend,
  leases: readonly Lease[],
  keepMs: Ms,
  done: (gone: Lease | undefined) => void,
): void {
  if (leases.length > 1) return void releaseAll(backend, leases, keepMs).then(done);
  const [first] = leases as [Lease];
  backend.release(first.grant, (outcome) => done(outcome === 'gone' ? first : undefined), keepMs);
}

/**
 * Releases in reverse order, all in one turn, and returns a lease that had been lost, if any. The leases must have
 * ended. Never rejects: a lock whose release fails ends with its lease.
 */
export async function releaseAll(
  backend: LockBackend,
  leases: readonly Lease[],
  keepMs?: Ms,
): Promise<Lease | undefined> {
  const order = [...leases].reverse();
  const outcomes = await Promise.all(order.map((lease) => releaseOne(backend, lease.grant, keepMs)));
  return order[outcomes.indexOf('gone')];
}
