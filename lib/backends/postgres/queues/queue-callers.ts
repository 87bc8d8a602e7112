import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import { LocalWaiters } from '../../queues/local-waiters.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import { Places } from './places.js';
import type { Place, PlaceHost } from './place.js';
import type { QueueSite } from './queue-site.js';
import type { QueueState } from './queue-state.js';
import type { Tenure } from './tenure.js';
import type { Trial } from './trial.js';
import type { QueueWaiter } from './waiter.js';

interface Late {
  readonly callback: (isFirst: boolean) => void;
  readonly last: number;
}

/** Who waits for a key in this process, and what stands for them at the server. */
export abstract class QueueCallers implements PlaceHost {
  state: QueueState = 'idle';
  protected readonly waiters = new LocalWaiters<QueueWaiter>();
  protected readonly places: Places;
  /** The try that is under way, even if nobody waits for its answer any more: the session may have the lock because of it. */
  protected trial: Trial | undefined = undefined;
  /** A try would be refused: a place is needed. */
  protected isTaken = false;
  /** Tickets: callers of this process that wait for the same, each with a place of its own. */
  protected rivals = 0;
  /** Who is to be called once no try is under way, and who had come last before. */
  private late: Late[] | undefined = undefined;

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
    if (this.late && !this.trial) this.tellLate(this.late);
    this.decide();
    if (this.late && !this.trial) this.tellLate(this.late, true);
  }

  /**
   * A ticket waits from now on.
   * @param isFirst it came before those who wait here. Otherwise, they need a place before it has one
   */
  addRival(isFirst = false): void {
    this.rivals++;
    if (!isFirst) this.decide();
  }

  removeRival(): void {
    this.rivals--;
    this.adjust();
  }

  /**
   * Calls back once no try is under way, and those who have come before and wait have their places.
   * @param callback told whether they have all been served
   */
  afterTrial(callback: (isFirst: boolean) => void): void {
    if (this.trial) (this.late ??= []).push({ callback, last: this.waiters.last?.arrival ?? 0 });
    else callback(false);
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

  /** Those before whom nobody waits; or all, because those who wait have their places. */
  private tellLate(late: readonly Late[], areAll = false): void {
    this.late = undefined;
    for (const one of late) {
      const { head } = this.waiters;
      const isFirst = head !== undefined && head.arrival > one.last;
      if (!this.trial && (areAll || isFirst)) one.callback(isFirst);
      else (this.late ??= []).push(one);
    }
  }

  protected abstract decide(): void;

  /** The callers need neither a try nor a place: who has the lock will hand it on. */
  protected abstract get isHandedOn(): boolean;

  /** A try may follow the one that is under way: its answer may leave more to be had, and nobody waits for that. */
  protected get mayFollow(): boolean {
    return false;
  }

  protected get wantedPlaces(): number {
    return Math.min(this.waiters.size, this.site.config.waitersPerKey);
  }

  /** A try is under way. If nobody has waited for it, its answer is for whoever does now. */
  protected revive(trial: Trial): void {
    if (!trial.isDropped) return;
    this.state = 'trying';
    trial.revive(this.site.clock.now());
  }

  /** Nothing is taken because of the try. Returns since when those wait for whom it was not sent, if there are any. */
  protected trialOver(): Ms | undefined {
    const revivedAt = this.trial?.revivedAt;
    this.trial = undefined;
    this.site.holdings.give();
    return revivedAt;
  }

  /** Those at the head that do not wait have their answer. The next one does wait. */
  protected answerTries(answer: (waiter: QueueWaiter) => void): void {
    for (let { head } = this.waiters; head; head = this.waiters.head) {
      if (!head.isTry) return head.waits();
      this.waiters.remove(head);
      answer(head);
    }
  }

  /** Callers that do not wait have come while another try was under way: there may be nothing left for them. */
  protected answerFollowers(): void {
    const { outage } = this.site.commands;
    if (outage) this.answerTries((waiter) => waiter.failed(outage));
    else if (this.isHandedOn || this.isTaken || this.places.size > 0) this.answerTries((waiter) => waiter.busy());
  }

  protected serve(head: QueueWaiter, tenure: Tenure): void {
    this.waiters.remove(head);
    tenure.key = head.key;
    head.granted(tenure);
  }
}
