import type { LaneGrant } from './queues/local-waiter.js';
import { draining, gone } from './lanes/lane-errors.js';
import type { Lane } from './lanes/lane.js';
import type { ServerPool } from './server-pool.js';
import { LockError, LockLostError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { impossible, type Transitions } from '../../common/transitions.js';
import { replyError } from '../../protocol/reply-error.js';
import type { AcquireRequest, Proof, Released } from '../backend.js';
import { RemoteHold } from './remote-hold.js';

/** owned: its connection owns it. releasing: the release is on its way. over. */
export type GrantState = 'owned' | 'releasing' | 'over';

const TABLE: Transitions<GrantState, 'release' | 'end'> = {
  owned: { release: 'releasing', end: 'over' },
  releasing: { release: 'releasing', end: 'over' },
  // The connection knows already that it no longer owns the lock.
  over: { release: 'over' },
};

export const nextGrantState = (state: GrantState, event: 'release' | 'end'): GrantState =>
  TABLE[state][event] ?? impossible('a grant', state, event);

/** A lock owned by one of our connections (spec 4.1). Every request about it is sent on that connection. */
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

  /** Sent on the owning connection, so that one reply proves both the lease and the connection (rule 1). */
  renew(leaseMs: Ms): Promise<Proof> {
    const { lane, pool } = this;
    return new Promise((resolve, reject) => {
      if (lane.state === 'draining') return reject(draining(this.server));
      if (this.takeFirst()) return this.sendRenew(lane, leaseMs, resolve, reject);
      pool.drainProbe.beforeOwnerSpeaks((error) => {
        if (error) reject(error);
        // Released in the meantime.
        else if (this.state !== 'owned') reject(new LockLostError(this.req.key, 'rejected', { server: this.server }));
        else this.sendRenew(lane, leaseMs, resolve, reject);
      });
    });
  }

  release(done: (outcome: Released) => void): void {
    const { lane } = this;
    // The server released it when the connection closed.
    if (lane.isEnded) {
      this.end();
      return done('gone');
    }
    if (lane.state === 'draining') {
      // Any request would end the connection now, and that end releases everything it owned (rule 9).
      this.end();
      return done('released');
    }
    this.state = nextGrantState(this.state, 'release');
    this.endLocalUse();
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

  /**
   * The release was not answered. If the connection has ended, the lock is released; otherwise any other connection can
   * release it by its token.
   */
  private releaseOtherwise(done: (outcome: Released) => void): void {
    if (this.lane.role === 'wait') this.hangUp();
    this.end();
    if (this.lane.isEnded) return done('released');
    const other = this.pool.command();
    if (!other) return done(gone(this.server, 'no answer to release'));
    // An `error` reply means that the first release did arrive.
    this.sendRelease(other, (outcome) => done(outcome instanceof LockError ? outcome : 'released'));
  }

  /** Ending an exclusive connection releases what it owns, whatever is in flight (spec 4.6). */
  private hangUp(): void {
    this.end();
    this.lane.end(gone(this.server, 'given up'));
  }

  private end(): void {
    if (this.state === 'over') return;
    if (this.state === 'owned') this.endLocalUse();
    this.state = nextGrantState(this.state, 'end');
    this.lane.disown();
  }
}
