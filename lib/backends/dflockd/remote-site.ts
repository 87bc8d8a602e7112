import type { LaneGrant } from './lines/caller.js';
import type { ServerPool } from './server-pool.js';
import type { AcquireRequest } from '../backend.js';
import type { FenceBook } from './fence-book.js';
import { LeasedGrant } from './leased-grant.js';
import type { RemoteHold } from './remote-hold.js';
import { RemoteGrant } from './remote-grant.js';

/** A server as this process knows it: its connections, its fences, and the kind of grants it gives. */
export class RemoteSite {
  constructor(
    readonly pool: ServerPool,
    /** Undefined: tokens carry no fence. */
    private readonly fences: FenceBook | undefined,
  ) {}

  /** A grant becomes somebody's. `key`: as bytes. */
  hold(req: AcquireRequest, key: string, grant: LaneGrant): RemoteHold {
    const { pool, fences } = this;
    const fence = fences?.read(key, grant.token, req.kind === 'lock');
    const Hold = pool.config.autoRelease ? RemoteGrant : LeasedGrant;
    return new Hold(req, key, grant, fence, pool);
  }
}
