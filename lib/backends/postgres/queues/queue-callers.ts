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

/** The callers of this process that wait for a key, and their tries and places on the server. */
export abstract class QueueCallers implements PlaceHost {
  state: QueueState = 'idle';
  protected readonly waiters = new LocalWaiters<QueueWaiter>();
  protected readonly places: Places;
  /** The try under way, even if nobody waits for its answer any more: it may still take the lock for the session. */
  protected trial: Trial | undefined = undefined;
  /** A try would be refused: a place is needed. */
  protected isTaken = false;
  /** Tickets: callers of this process that wait for the same lock, each with a place of its own. */
  protected rivals = 0;
  /** Callbacks for the time when no try is under way, each with the last caller that arrived before it. */
  private late: Late[] | undefined = undefined;

  constructor(
    protected readonly site: QueueSite,
    /** What places wait for. */
    readonly placeId: AdvisoryId,
  ) {
    this.places = new Places(this, site);
  }

  /** The number of callers that wait, and of their places in the server's queue or on the way there. */
  get counts(): { readonly waiters: number; readonly places: number } {
    return { waiters: this.waiters.size, places: this.places.size };
  }

  /** Decides what to do for the waiting callers. Every event ends here. */
  adjust(): void {
    if (this.late && !this.trial) this.tellLate(this.late);
    this.decide();
    if (this.late && !this.trial) this.tellLate(this.late, true);
  }

  /**
   * A ticket begins to wait.
   * @param isFirst whether it came before those that wait here. If not, they need a place before the ticket gets one
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
   * Calls back once no try is under way and all earlier callers that wait have their places.
   * @param callback is told whether they have all been served
   */
  afterTrial(callback: (isFirst: boolean) => void): void {
    if (this.trial) (this.late ??= []).push({ callback, last: this.waiters.last?.arrival ?? 0 });
    else callback(false);
  }

  /** PlaceHost */
  freed(place: Place): void {
    this.site.holdings.give(place.room);
  }

  /** PlaceHost. Implementations take the place from the list by `remove` and pass the tenure to `won`. */
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

  /** The callbacks before which nobody waits; or all of them, because those that wait have their places. */
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

  /** Whether the callers need neither a try nor a place, because the holder will hand the lock on. */
  protected abstract get isHandedOn(): boolean;

  /** Whether a try may follow the one under way: more may be free after its answer, and nobody else waits for it. */
  protected get mayFollow(): boolean {
    return false;
  }

  protected get wantedPlaces(): number {
    return Math.min(this.waiters.size, this.site.config.waitersPerKey);
  }

  /** A try is under way. If nobody waits for its answer any more, the answer is for the present callers. */
  protected revive(trial: Trial): void {
    if (!trial.isDropped) return;
    this.state = 'trying';
    trial.revive(this.site.clock.now());
  }

  /** The try has taken nothing. Returns since when the callers wait that arrived after it was sent, if there are any. */
  protected trialOver(): Ms | undefined {
    const revivedAt = this.trial?.revivedAt;
    this.trial = undefined;
    this.site.holdings.give();
    return revivedAt;
  }

  /** Answers the callers at the head that do not wait, up to the first one that does. */
  protected answerTries(answer: (waiter: QueueWaiter) => void): void {
    for (let { head } = this.waiters; head; head = this.waiters.head) {
      if (!head.isTry) return head.waits();
      this.waiters.remove(head);
      answer(head);
    }
  }

  /** Callers that do not wait arrived while another try was under way: nothing may be left for them. */
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
