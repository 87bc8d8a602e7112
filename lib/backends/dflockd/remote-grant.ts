import type { LaneGrant } from './queues/local-waiter.js';
import { draining, gone } from './lanes/lane-errors.js';
import type { Lane } from './lanes/lane.js';
import type { ServerPool } from './server-pool.js';
import { LockError, LockLostError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { transitions } from '../../common/transitions.js';
import { replyError } from '../../protocol/reply-error.js';
import type { AcquireRequest, Proof, Released } from '../backend.js';
import { RemoteHold } from './remote-hold.js';

/** owned: its connection owns it. releasing: the release is on its way. over. */
export type GrantState = 'owned' | 'releasing' | 'over';

export const nextGrantState = transitions<GrantState, 'release' | 'end'>('a grant', {
  owned: { release: 'releasing', end: 'over' },
  releasing: { release: 'releasing', end: 'over' },
  // Its connection has been told already that it owns nothing any more.
  over: { release: 'over' },
});

/** A lock that lives as long as one of our connections (spec 4.1). What is said about it travels on that connection. */
export class RemoteGrant extends RemoteHold {
  private state: GrantState = 'owned';

  constructor(req: AcquireRequest, key: string, grant: LaneGrant, fence: bigint | undefined, pool: ServerPool) {
    super(req, key, grant, fence, pool);
    grant.lane.adopt();
  }

  get owner(): Lane {
    return this.lane;
  }

  get heldUntil(): Ms {
    return this.lane.isEnded ? -Infinity : this.until;
  }

  /** Sent on the owner's connection, so that one answer proves lease and connection (rule 1). */
  renew(leaseMs: Ms): Promise<Proof> {
    const { lane, pool } = this;
    return new Promise((resolve, reject) => {
      if (lane.state === 'draining') return reject(draining(this.server));
      if (this.takeFirst()) return this.sendRenew(lane, leaseMs, resolve, reject);
      pool.drainProbe.beforeOwnerSpeaks((error) => {
        if (error) reject(error);
        // Meanwhile it was released.
        else if (this.state !== 'owned') reject(new LockLostError(this.req.key, 'rejected', { server: this.server }));
        else this.sendRenew(lane, leaseMs, resolve, reject);
      });
    });
  }

  release(done: (outcome: Released) => void): void {
    const { lane } = this;
    // The server freed it when the connection closed.
    if (lane.isEnded) {
      this.end();
      return done('gone');
    }
    if (lane.state === 'draining') {
      // Whatever is said now costs the lane: its end is the release of all that it owned (rule 9).
      this.end();
      return done('released');
    }
    this.state = nextGrantState(this.state, 'release');
    this.unmark();
    this.sendRelease(lane, (outcome) => {
      if (outcome instanceof LockError) return this.releaseOtherwise(done);
      this.end();
      if (outcome.s === 'ok') done('released');
      else if (outcome.s === 'error') done('gone');
      else done(replyError(outcome, 'release', this.key, this.server));
    });
  }

  abandon(): void {
    if (this.lane.isEnded) this.end();
    else if (this.lane.role === 'wait') this.hangUp();
    else this.release(() => undefined);
  }

  /** The release was not answered. A connection that ended has released; otherwise any other can, by the token. */
  private releaseOtherwise(done: (outcome: Released) => void): void {
    if (this.lane.role === 'wait') this.hangUp();
    this.end();
    if (this.lane.isEnded) return done('released');
    const other = this.pool.command();
    if (!other) return done(gone(this.server, 'no answer to release'));
    // An answer of `error`: the first release has arrived after all.
    this.sendRelease(other, (outcome) => done(outcome instanceof LockError ? outcome : 'released'));
  }

  /** The end of an exclusive connection frees what it owns, whatever is on its way (spec 4.6). */
  private hangUp(): void {
    this.end();
    this.lane.end(gone(this.server, 'given up'));
  }

  private end(): void {
    if (this.state === 'over') return;
    if (this.state === 'owned') this.unmark();
    this.state = nextGrantState(this.state, 'end');
    this.lane.disown();
  }
}
