import type { Alarm } from '../../../common/alarms.js';
import { Backoff } from '../../../common/backoff.js';
import {
  AcquireTimeoutError,
  type LockError,
  LockUnavailableError,
  PoolExhaustedError,
} from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { LockKind, Released } from '../../backend.js';
import { LocalWaiters } from '../../queues/local-waiters.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import { Place, type PlaceHost } from './place.js';
import type { QueueSite } from './queue-site.js';
import type { Tenure, TenureKeeper } from './tenure.js';
import type { QueueWaiter } from './waiter.js';

/**
 * idle: nobody waits. trying: a try is under way. held: a caller of this process has the lock, and it will be handed on. queued: there are
 * places in the server's queue, or on their way there. polling: there is no session for a place, so tries are sent from time to time.
 * pausing: something failed, or there is no connection. Assigned in place, because there is one for each lock; what leads to each of
 * them is `adjust`.
 */
export type QueueState = 'idle' | 'trying' | 'held' | 'queued' | 'polling' | 'pausing';

/** A try on the command connection. */
export interface Trial {
  /** Nobody wants it any more: what it is granted is released, and nobody is told. */
  isDropped: boolean;
  /** Its answer is `won`, `refused` or `tryFailed`, perhaps before this returns. */
  send(): void;
}

const MIN_PAUSE_MS: Ms = 25;
const MAX_PAUSE_MS: Ms = 250;
const PAUSE_FLOOR = 0.5;

const nothing = (): void => undefined;

/**
 * The callers of this process that wait for one key, first in, first out. Its first caller tries on the command connection. If the try is
 * refused, the queue takes a place in the server's queue: a grant, whatever brings it, goes to the caller at the head.
 */
export abstract class KeyQueue implements Alarm, PlaceHost, TenureKeeper {
  due: Ms = Infinity;
  slot = -1;
  state: QueueState = 'idle';
  protected readonly waiters = new LocalWaiters<QueueWaiter>();
  /** Those that do not own. The longest-standing first. */
  protected readonly places: Place[] = [];
  protected trial: Trial | undefined = undefined;
  /** A try would be refused: a place is needed. */
  protected isTaken = false;
  /** It was taken once since somebody waits. */
  private wasTaken = false;
  /** Nothing new is asked before this time. */
  private resumeAt: Ms = -Infinity;
  private pauses: Backoff | undefined = undefined;
  /** Callers of this process that wait for the same with a place of their own. */
  protected rivals = 0;
  /** Why there is no place. */
  private trouble: LockError | undefined = undefined;

  constructor(
    protected readonly site: QueueSite,
    readonly kind: LockKind,
    /** What places wait for. */
    readonly placeId: AdvisoryId,
  ) {}

  /** How many callers wait. */
  get size(): number {
    return this.waiters.size;
  }

  /** Places in the server's queue, or on their way there. */
  get placeCount(): number {
    return this.places.length;
  }

  /** Nothing would be lost with it. */
  get isUnused(): boolean {
    return this.state === 'idle' && !this.isServing && !this.trial;
  }

  /** A caller of this process has what this queue is for. */
  protected abstract get isServing(): boolean;

  /** The callers need neither a try nor a place: who has the lock will hand it on. */
  protected abstract get isHandedOn(): boolean;

  protected abstract newTrial(): Trial;

  /** PlaceHost. To be taken from the list by `takeOut`; `won` gets what comes of it. */
  abstract owned(place: Place, fence: bigint): void;

  /** Frees it on the server, and then adjusts. */
  protected abstract giveBack(tenure: Tenure, done: (outcome: Released) => void): void;

  /** It is gone, together with its session. */
  protected abstract forget(tenure: Tenure): void;

  /** Adds a caller at the end. */
  join(waiter: QueueWaiter): void {
    const { site } = this;
    if (this.state === 'idle' && !this.isHandedOn && site.commands.session) {
      this.waiters.push(waiter);
      return this.try();
    }
    if (waiter.isTry) return site.commands.outage ? waiter.failed(site.commands.outage) : waiter.busy();
    this.waiters.push(waiter);
    waiter.waits();
    this.adjust();
    // The try that is under way may be for it.
    if (this.state !== 'trying' || this.waiters.head !== waiter) waiter.queued();
  }

  /** Removes a caller that stops waiting. */
  leave(waiter: QueueWaiter): void {
    this.waiters.remove(waiter);
    if (this.waiters.size === 0 && this.trial) this.dropTrial(this.trial);
    this.adjust();
  }

  /** The error for a caller whose deadline has come. */
  deadlineError(key: string): LockError {
    const { server, commands, config } = this.site;
    const details = { key, server };
    if (this.state === 'polling') {
      const text = `all ${config.maxWaitConnections} wait connections to ${server} are in use (option maxWaitConnections)`;
      return new PoolExhaustedError(text, details);
    }
    if (this.state === 'trying' && !this.wasTaken) return new LockUnavailableError('no answer in time', details);
    if (this.state === 'pausing') return commands.outage ?? this.trouble ?? new AcquireTimeoutError(key, details);
    return new AcquireTimeoutError(key, details);
  }

  /** TenureKeeper */
  release(tenure: Tenure, done: (outcome: Released) => void): void {
    if (tenure.session.isEnded) {
      this.forget(tenure);
      done('gone');
      return this.adjust();
    }
    if (this.waiters.size === 0 || !this.mayHandOn(tenure)) return this.giveBack(tenure, done);
    done('released');
    // Whoever was told may have changed everything.
    const { head } = this.waiters;
    if (!head || tenure.session.isEnded) return this.giveBack(tenure, nothing);
    tenure.turn++;
    tenure.validFrom = this.site.clock.now();
    this.serve(head, tenure);
    this.adjust();
  }

  /** A caller with a ticket waits from now on: those who came before it need a place before it has one. */
  addRival(): void {
    this.rivals++;
    this.adjust();
  }

  removeRival(): void {
    this.rivals--;
  }

  /** Something may be possible now that was not: a place, a try. */
  retry(): void {
    this.adjust();
  }

  /** The command session has ended, and with it what it had. */
  down(): void {
    this.isTaken = false;
    this.adjust();
  }

  /** There is a command session again: earlier errors may be over. */
  resume(): void {
    this.recovered();
    this.isTaken = false;
    this.adjust();
  }

  /** Refuses all callers. */
  fail(error: LockError): void {
    const all = [...this.waiters];
    for (const waiter of all) this.waiters.remove(waiter);
    if (this.trial) this.dropTrial(this.trial);
    this.adjust();
    for (const waiter of all) waiter.failed(error);
  }

  /** Alarm */
  ring(): void {
    if (this.state === 'polling' && !this.trial) this.try();
    else this.adjust();
  }

  /** PlaceHost */
  asked(): void {
    this.waiters.announce(this.places.length);
  }

  /** PlaceHost */
  denied(place: Place): void {
    this.remove(place);
    if (this.places.length > 0) return;
    // They have no place to wait for.
    if (this.state !== 'polling') {
      this.state = 'polling';
      this.waiters.announce(Infinity);
      this.site.starving(this);
    }
    if (this.slot < 0 && !this.trial) this.setAlarm(this.nextPause());
  }

  /** PlaceHost */
  failed(place: Place, error: LockError): void {
    this.remove(place);
    this.onError(error);
  }

  /** PlaceHost */
  abstract lost(place: Place, error: LockError): void;

  /**
   * A caller of this process gets it: the one at the head.
   * @param isTaken a try for the next one would be refused
   */
  protected won(tenure: Tenure, isTaken = true): void {
    const { head } = this.waiters;
    this.trial = undefined;
    this.recovered();
    this.wasTaken = true;
    this.isTaken = isTaken;
    if (!head) return this.giveBack(tenure, nothing);
    this.serve(head, tenure);
    this.adjust();
  }

  /** The answer to a trial: it is taken. */
  refused(): void {
    this.trial = undefined;
    this.isTaken = this.wasTaken = true;
    this.site.holdings.give();
    this.recovered();
    for (let { head } = this.waiters; head?.isTry; head = this.waiters.head) {
      this.waiters.remove(head);
      head.busy();
    }
    this.waiters.head?.waits();
    if (this.state === 'polling' && this.waiters.size > 0) this.setAlarm(this.nextPause());
    else this.adjust();
  }

  /** A trial has failed; nothing is held because of it. */
  tryFailed(error: LockError): void {
    this.trial = undefined;
    this.site.holdings.give();
    for (let { head } = this.waiters; head?.isTry; head = this.waiters.head) {
      this.waiters.remove(head);
      head.failed(error);
    }
    this.waiters.head?.waits();
    this.onError(error);
  }

  /** Decides what is to be done for the callers that wait. Every event ends here. */
  protected adjust(): void {
    const { site, waiters, places } = this;
    while (places.length > waiters.size) this.cancelPlace();
    if (waiters.size === 0) return this.rest();
    if (this.trial) return;
    if (this.isHandedOn) return this.to('held');
    if (places.length > 0) this.to('queued');
    else if (!site.commands.session || site.clock.now() < this.resumeAt) return this.to('pausing');
    else if (!this.isTaken) return this.try();
    if (site.commands.session) this.openPlaces();
  }

  /** A place is at the server, or a new one may be. */
  protected get wantedPlaces(): number {
    return Math.min(this.waiters.size, this.site.config.waitersPerKey);
  }

  private try(): void {
    const { site, waiters } = this;
    if (!site.holdings.take()) {
      // There may be room once others have released theirs.
      const { head } = waiters;
      if (this.state === 'polling') return this.setAlarm(this.nextPause());
      waiters.remove(head!);
      head!.failed(site.holdings.error(head!.key, site.server));
      return this.adjust();
    }
    if (this.state !== 'polling') this.state = 'trying';
    this.trial = this.newTrial();
    this.trial.send();
  }

  private openPlaces(): void {
    const { site, places } = this;
    while (places.length < this.wantedPlaces) {
      if (!site.holdings.take()) {
        const { head } = this.waiters;
        if (places.length > 0 || !head) return;
        return this.onError(site.holdings.error(head.key, site.server));
      }
      const place = new Place(this);
      places.push(place);
      place.open(site.waitSessions);
      if (place.isOver) return;
      this.to('queued');
    }
  }

  private rest(): void {
    this.state = 'idle';
    this.isTaken = this.wasTaken = false;
    if (this.slot >= 0) this.site.alarms.cancel(this);
  }

  private to(state: QueueState): void {
    this.state = state;
  }

  private serve(head: QueueWaiter, tenure: Tenure): void {
    this.waiters.remove(head);
    head.granted(tenure);
  }

  /** Rule: a bounded number of turns, soon after the grant, on a session that surely lives. */
  private mayHandOn({ turn, since, session }: Tenure): boolean {
    const { clock, config } = this.site;
    if (turn >= config.localTurns || this.rivals > 0) return false;
    const now = clock.now();
    return now - since < config.localMs && session.provenUntil() - now >= config.sessionTimeoutMs / 2;
  }

  private dropTrial(trial: Trial): void {
    trial.isDropped = true;
    this.trial = undefined;
    this.site.holdings.give();
  }

  /** The youngest one. */
  private cancelPlace(): void {
    const place = this.places.pop()!;
    this.site.holdings.give();
    this.unhead(place);
    place.cancel();
  }

  /** It will be cancelled: what was begun because its session has the lock has to stop. */
  protected unhead(_place: Place): void {
    // For most there is nothing.
  }

  private remove(place: Place): void {
    if (this.takeOut(place)) this.site.holdings.give();
  }

  /** It goes on counting among what the process has. */
  protected takeOut(place: Place): boolean {
    const at = this.places.indexOf(place);
    if (at >= 0) this.places.splice(at, 1);
    return at >= 0;
  }

  /** A permanent error refuses all callers; a transient one is what they get at their deadlines. */
  private onError(error: LockError): void {
    if (!error.isTransient) return this.fail(error);
    this.trouble = error;
    const pause = this.nextPause();
    this.resumeAt = this.site.clock.now() + pause;
    if (this.waiters.size > 0) this.setAlarm(pause);
    this.adjust();
  }

  private recovered(): void {
    this.trouble = undefined;
    this.resumeAt = -Infinity;
    if (this.state !== 'polling') this.pauses?.reset();
  }

  private nextPause(): Ms {
    return (this.pauses ??= new Backoff(MIN_PAUSE_MS, MAX_PAUSE_MS, this.site.entropy, PAUSE_FLOOR)).next();
  }

  private setAlarm(delay: Ms): void {
    const { alarms, clock } = this.site;
    alarms.set(this, clock.now() + Math.max(delay, 1));
  }
}
