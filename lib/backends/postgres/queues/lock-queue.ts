import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { KeptHolds } from '../keep/kept-holds.js';
import type { Session } from '../sessions/session.js';
import { sharedId } from './deadline-error.js';
import { KeyQueue } from './key-queue.js';
import { LockRelease, LockTry } from './lock-try.js';
import type { Place } from './place.js';
import type { QueueSite } from './queue-site.js';
import { Tenure } from './tenure.js';
import type { Trial } from './trial.js';

/** A fence that is behind the one before by more than this shows that the server's clock was set back. In fence units: 1 ms. */
const STEP_BACK = 1_000_000n;

/** The queue of a lock: its places wait for the lock itself, so that their sessions have it then. */
export class LockQueue extends KeyQueue {
  /** The lock that this process has, whichever of its callers holds it. */
  private tenure: Tenure | undefined = undefined;
  /** The highest fence so far that is remembered. */
  private lastFence = 0n;

  constructor(site: QueueSite, id: AdvisoryId) {
    super(site, id);
  }

  /** PlaceHost */
  get kept(): KeptHolds | undefined {
    return this.site.kept;
  }

  /** A try of this queue was granted. */
  granted(session: Session, fence: bigint, sentAt: Ms): void {
    this.trial = undefined;
    this.hold(new Tenure(this, this.placeId, session, this.rising(fence), sentAt, this.site.clock.now()));
  }

  /** PlaceHost */
  owned(place: Place, fence: bigint): void {
    const now = this.site.clock.now();
    this.places.remove(place);
    this.hold(new Tenure(this, this.placeId, place.session, this.rising(fence), now, now, place));
  }

  /** PlaceHost */
  lost(place: Place): void {
    if (this.tenure?.place === place) this.forget(this.tenure);
    this.adjust();
  }

  override deadlineError(key: string): LockError {
    const { tenure, site } = this;
    return tenure && tenure.key !== key ? sharedId(key, tenure.key, site.server) : super.deadlineError(key);
  }

  /** The command session has ended. */
  override down(): void {
    if (this.tenure?.session.isEnded) this.forget(this.tenure);
    super.down();
  }

  get isUnused(): boolean {
    return this.state === 'idle' && !this.trial && !this.tenure && this.rivals === 0;
  }

  /** Without a bound on places, each caller has one of its own, and the server keeps the order. */
  protected get isHandedOn(): boolean {
    return this.tenure !== undefined && this.rivals === 0 && this.site.config.waitersPerKey !== Infinity;
  }

  protected newTrial(since: Ms | undefined): Trial {
    return new LockTry(this, this.site, since);
  }

  protected giveBack(tenure: Tenure, done: (outcome: Released) => void): void {
    const { site, places } = this;
    const { place, session } = tenure;
    this.tenure = undefined;
    this.lastFence = tenure.fence;
    this.isTaken = false;
    if (!place) {
      site.commands.unlock(session, new LockRelease(this.placeId, site.holdings, done));
      // A try for the next caller goes in the same batch. It does not overtake waiters of other processes.
      return this.adjust();
    }
    if (places.size < this.wantedPlaces) {
      // Counts as released when it is sent: either the server executes it, or the session ends and frees the lock.
      places.push(place);
      this.isTaken = true;
      place.again();
      done('released');
    } else {
      place.leave(done);
    }
    this.adjust();
  }

  protected forget(tenure: Tenure): void {
    if (this.tenure !== tenure) return;
    this.tenure = undefined;
    this.lastFence = tenure.fence;
    this.isTaken = false;
    // The lock of a place counts as long as the place does.
    if (!tenure.place) this.site.holdings.give();
  }

  private hold(tenure: Tenure): void {
    this.tenure = tenure;
    this.won(tenure);
  }

  /** The fence of a new grant. The clock of the server orders them, but several in one batch may have read the same microsecond. */
  rising(fence: bigint): bigint {
    const { lastFence } = this;
    if (fence > lastFence) return (this.lastFence = fence);
    if (lastFence - fence > STEP_BACK) {
      const ms = Number((lastFence - fence) / STEP_BACK);
      this.site.degraded(
        `the server's clock went back by ${ms} ms: fences of other processes may be lower than earlier ones`,
      );
    }
    return (this.lastFence = lastFence + 1n);
  }
}
