import { type RequestDefaults, requestDefaults } from '../../../../lib/locks/acquire/checked-acquire.js';
import type { BackendLimits } from '../../../../lib/locks/options/backend-limits.js';
import type { LockClientOptions } from '../../../../lib/locks/options/options.js';
import { resolveOptions } from '../../../../lib/locks/options/resolve-options.js';

/** As of dflockd for keys, and of no backend for leases. */
export const LIMITS: BackendLimits = {
  maxKeyBytes: 256,
  leaseUnitMs: 1,
  minLeaseMs: 1,
  adviseLeaseMs: 0,
  maxStallMs: Infinity,
};

/** What a client with these options measures requests by. */
export const defaultsOf = (options: LockClientOptions = {}, limits: Partial<BackendLimits> = {}): RequestDefaults =>
  requestDefaults(resolveOptions(options), { ...LIMITS, ...limits });
