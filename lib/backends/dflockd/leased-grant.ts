import { LockError, LockLostError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { replyError } from '../../protocol/reply-error.js';
import type { Owner, Proof, Released } from '../backend.js';
import { RemoteHold } from './remote-hold.js';

/** No connection owns the lock. */
const NOBODY: Owner = Object.freeze({
  id: 'lease',
  provenUntil: () => Infinity,
  onLost: () => () => undefined,
});

/** A lock of a server that keeps the locks of closed connections: it lives as long as its lease (rule 10). */
export class LeasedGrant extends RemoteHold {
  private isOver = false;
  /** Pending until the renewal that completes the grant is answered. Never rejects. */
  private first: Promise<void> | undefined;

  get owner(): Owner {
    return NOBODY;
  }

  get heldUntil(): Ms {
    return this.until;
  }

  renew(leaseMs: Ms): Promise<Proof> {
    if (this.takeFirst()) {
      const first = new Promise<Proof>((resolve, reject) => this.sendRenew(this.lane, leaseMs, resolve, reject));
      const answered = (): void => (this.first = undefined);
      this.first = first.then(answered, answered);
      return first;
    }
    // Wait for the first renewal: one on another connection could overtake it.
    return this.first ? this.first.then(() => this.renewAnywhere(leaseMs)) : this.renewAnywhere(leaseMs);
  }

  private renewAnywhere(leaseMs: Ms): Promise<Proof> {
    return new Promise((resolve, reject) => {
      this.pool.whenCommand(this.until, (lane) => {
        if (lane instanceof LockError) reject(lane);
        else if (this.isOver) reject(new LockLostError(this.req.key, 'rejected', { server: this.server }));
        else this.sendRenew(lane, leaseMs, resolve, reject);
      });
    });
  }

  release(done: (outcome: Released) => void): void {
    this.isOver = true;
    this.endLocalUse();
    this.releaseVia('gone', done);
  }

  /** @param whenUnknown the meaning of an `error` reply: after an unanswered release, that the release did arrive */
  private releaseVia(whenUnknown: 'released' | 'gone', done: (outcome: Released) => void): void {
    this.pool.whenCommand(this.until, (lane) => {
      if (lane instanceof LockError) return done(lane);
      this.sendRelease(lane, (outcome) => {
        if (!(outcome instanceof LockError)) {
          if (outcome.s === 'ok') done('released');
          else if (outcome.s === 'error') done(whenUnknown);
          else done(replyError(outcome, 'release', this.key, this.server));
        } else if (this.pool.clock.now() < this.until && whenUnknown === 'gone') {
          this.releaseVia('released', done);
        } else done(outcome);
      });
    });
  }

  abandon(): void {
    this.release(() => undefined);
  }
}
