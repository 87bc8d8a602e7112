import type { LaneGrant } from './queues/local-waiter.js';
import type { ServerPool } from './server-pool.js';
import type { AcquireRequest } from '../backend.js';
import type { FenceTracker } from './fencing.js';
import { LeasedGrant } from './leased-grant.js';
import type { RemoteHold } from './remote-hold.js';
import { statsOf } from './remote-queries.js';
import { RemoteGrant } from './remote-grant.js';
import { SharedStats } from './shared-stats.js';

/** A server as this process knows it: its connections, its fences, and the kind of grants it issues. */
export class RemoteSite {
  /** For questions that only its `stats` can answer. */
  readonly inspection = new SharedStats(() => statsOf(this.pool));

  constructor(
    readonly pool: ServerPool,
    /** Undefined: tokens carry no fence. */
    private readonly fences: FenceTracker | undefined,
  ) {}

  /** Wraps a lane's grant for its holder. `key`: a byte string. */
  hold(req: AcquireRequest, key: string, grant: LaneGrant): RemoteHold {
    const { pool, fences } = this;
    const fence = fences?.read(key, grant.token, req.kind === 'lock');
    const Hold = pool.config.autoRelease ? RemoteGrant : LeasedGrant;
    return new Hold(req, key, grant, fence, pool);
  }
}
