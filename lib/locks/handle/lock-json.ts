import type { Ms } from '../../common/system.js';
import type { Lease } from '../lease/lease.js';

interface Shown {
  readonly keys: readonly string[];
  readonly isHeld: boolean;
  readonly waitedMs: Ms;
}

/** A lock for logs, without its tokens, because a token can release the lock. */
export function jsonOf({ keys, isHeld, waitedMs }: Shown, leases: readonly Lease[]): object {
  const grants = leases.map(({ grant: { fence, server } }, i) => ({ key: keys[i]!, server, fence: fence?.toString() }));
  const { server, fence } = grants[0]!;
  return grants.length === 1 ? { keys, server, fence, isHeld, waitedMs } : { keys, grants, isHeld, waitedMs };
}
