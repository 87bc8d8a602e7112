import type { LockError } from '../../../common/errors.js';
import { LocalWaiters } from '../../queues/local-waiters.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import { Places } from './places.js';
import type { Place, PlaceHost } from './place.js';
import type { QueueSite } from './queue-site.js';
import type { QueueState } from './queue-state.js';
import type { Trial } from './trial.js';
import type { QueueWaiter } from './waiter.js';

/** Who waits for a key in this process, and what stands for them at the server. */
export abstract class QueueCallers implements PlaceHost {
  state: QueueState = 'idle';
  protected readonly waiters = new LocalWaiters<QueueWaiter>();
  protected readonly places: Places;
  /** The try that is under way, even if nobody waits for its answer any more: the session may have the lock because of it. */
  protected trial: Trial | undefined = undefined;
  /** Tickets: callers of this process that wait for the same, each with a place of its own. */
  protected rivals = 0;
  /** Who is to be called once no try is under way. */
  private late: (() => void)[] | undefined = undefined;

  constructor(
    protected readonly site: QueueSite,
    /** What places wait for. */
    readonly placeId: AdvisoryId,
  ) {
    this.places = new Places(this, site);
  }

  /** How many callers wait, and how many places of them are in the server's queue or on their way there. */
  get counts(): { readonly waiters: number; readonly places: number } {
    return { waiters: this.waiters.size, places: this.places.size };
  }

  /** Decides what is to be done for the callers that wait. Every event ends here. */
  adjust(): void {
    this.decide();
    const { late } = this;
    if (!late || this.trial) return;
    this.late = undefined;
    for (const callback of late) this.afterTrial(callback);
  }

  /** A ticket waits from now on. Those who came before need a place before it has one. */
  addRival(): void {
    this.rivals++;
    this.decide();
  }

  removeRival(): void {
    this.rivals--;
    this.adjust();
  }

  /** Calls back once no try is under way, and those who wait for its answer have their places. */
  afterTrial(callback: () => void): void {
    if (this.trial) (this.late ??= []).push(callback);
    else callback();
  }

  /** PlaceHost */
  freed(place: Place): void {
    this.site.holdings.give(place.room);
  }

  /** PlaceHost. To be taken from the list by `remove`; `won` gets what comes of it. */
  abstract owned(place: Place, fence: bigint): void;

  /** PlaceHost */
  abstract denied(place: Place): void;

  /** PlaceHost */
  abstract failed(place: Place, error: LockError): void;

  /** PlaceHost */
  abstract lost(place: Place, error: LockError): void;

  /** PlaceHost */
  asked(): void {
    this.waiters.announce(this.places.size);
  }

  protected abstract decide(): void;

  protected get wantedPlaces(): number {
    return Math.min(this.waiters.size, this.site.config.waitersPerKey);
  }

  /** A try is under way. If nobody has waited for it, its answer is for whoever does now. */
  protected revive(trial: Trial): void {
    if (!trial.isDropped) return;
    this.state = 'trying';
    trial.revive(this.site.clock.now());
  }

  /** Nothing is taken because of the try. */
  protected trialOver(): void {
    this.trial = undefined;
    this.site.holdings.give();
  }

  /** Those at the head that do not wait have their answer. The next one does wait. */
  protected answerTries(answer: (waiter: QueueWaiter) => void): void {
    for (let { head } = this.waiters; head; head = this.waiters.head) {
      if (!head.isTry) return head.waits();
      this.waiters.remove(head);
      answer(head);
    }
  }
}
