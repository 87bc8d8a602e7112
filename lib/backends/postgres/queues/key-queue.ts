import type { Alarm } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import { deadlineError } from './deadline-error.js';
import type { Place } from './place.js';
import { QueueCallers } from './queue-callers.js';
import { QueuePauses } from './queue-pauses.js';
import { mayHandOn, type Tenure, type TenureKeeper } from './tenure.js';
import type { Trial } from './trial.js';
import type { QueueWaiter } from './waiter.js';

const nothing = (): void => undefined;

/**
 * The callers of this process that wait for one key, first in, first out. Its first caller tries on the command connection. If the try is
 * refused, the queue takes a place in the server's queue: a grant, whatever brings it, goes to the caller at the head.
 */
export abstract class KeyQueue extends QueueCallers implements Alarm, TenureKeeper {
  due: Ms = Infinity;
  slot = -1;
  /** Whether the lock has been found taken since somebody began to wait. */
  private wasTaken = false;
  /** When the callers arrived for whom another trial was refused. */
  private triedSince: Ms | undefined = undefined;
  /** Created when first needed. */
  private pauses: QueuePauses | undefined = undefined;

  /** Whether nobody waits and nothing is held, so that the queue can be forgotten. */
  abstract get isUnused(): boolean;

  /** @param since when its caller began to wait; undefined: now */
  protected abstract newTrial(since: Ms | undefined): Trial;

  /** Frees the lock on the server, and then adjusts. */
  protected abstract giveBack(tenure: Tenure, done: (outcome: Released) => void): void;

  /** The tenure has ended with its session. */
  protected abstract forget(tenure: Tenure): void;

  /** Adds a caller at the end of the queue. */
  join(waiter: QueueWaiter): void {
    const { site } = this;
    if (this.state === 'idle' && !this.isHandedOn && !site.commands.outage) {
      this.waiters.push(waiter);
      return this.trial ? this.revive(this.trial) : this.try(waiter.since);
    }
    if (waiter.isTry && !this.mayFollow) {
      return site.commands.outage ? waiter.failed(site.commands.outage) : waiter.busy();
    }
    this.waiters.push(waiter);
    if (waiter.isTry) {
      waiter.since ??= site.clock.now();
      return;
    }
    waiter.waits();
    this.adjust();
    // The try that is under way may be for it.
    if (this.state !== 'trying' || this.waiters.head !== waiter) waiter.queued();
  }

  /** Removes a caller that stops waiting. */
  leave(waiter: QueueWaiter): void {
    this.waiters.remove(waiter);
    this.adjust();
  }

  /** The error for a caller whose deadline has passed. */
  deadlineError(key: string): LockError {
    const { site, state, wasTaken } = this;
    return deadlineError(site, key, state, wasTaken, this.pauses?.trouble);
  }

  /** TenureKeeper */
  release(tenure: Tenure, done: (outcome: Released) => void): void {
    const isHandedOn = this.waiters.size > 0 && this.rivals === 0 && mayHandOn(tenure, this.site);
    if (isHandedOn) done('released');
    // The callback may have changed everything.
    const told = isHandedOn ? nothing : done;
    if (tenure.session.isEnded) {
      this.forget(tenure);
      told('gone');
      return this.adjust();
    }
    const { head } = this.waiters;
    if (!isHandedOn || !head) return this.giveBack(tenure, told);
    tenure.turn++;
    tenure.validFrom = this.site.clock.now();
    this.serve(head, tenure);
    this.adjust();
  }

  /** The command session has ended, and its locks with it. */
  down(): void {
    this.isTaken = false;
    this.adjust();
  }

  /** There is a command session again, so earlier errors may no longer apply. */
  resume(): void {
    this.recovered();
    this.isTaken = false;
    this.adjust();
  }

  /** Refuses all callers. */
  fail(error: LockError): void {
    const all = [...this.waiters];
    for (const waiter of all) this.waiters.remove(waiter);
    this.adjust();
    for (const waiter of all) waiter.failed(error);
  }

  /** Alarm */
  ring(): void {
    if (this.state === 'polling' && !this.trial) this.try();
    else this.adjust();
  }

  /** PlaceHost */
  denied(place: Place): void {
    this.places.remove(place);
    if (this.places.size > 0) return;
    if (this.state !== 'polling') {
      this.state = 'polling';
      // There is no place for them to wait for.
      this.waiters.announce(Infinity);
      this.site.starving(this);
    }
    if (this.slot < 0 && !this.trial) this.paused().begin();
  }

  /** PlaceHost */
  failed(place: Place, error: LockError): void {
    this.places.remove(place);
    this.onError(error);
  }

  /**
   * Grants the lock to the caller at the head.
   * @param isTaken whether a try for the next caller would be refused
   */
  protected won(tenure: Tenure, isTaken = true): void {
    const { head } = this.waiters;
    this.recovered();
    this.isTaken = isTaken;
    this.wasTaken = true;
    if (!head) return this.giveBack(tenure, nothing);
    this.serve(head, tenure);
    this.adjust();
  }

  /** The answer to a trial is overdue. No other trial is sent until it comes: the session could take the lock twice. */
  overdue(error: LockError): void {
    this.answerTries((waiter) => waiter.failed(error));
    this.adjust();
  }

  /** The answer to a trial: the lock is taken. */
  refused(): void {
    const revivedAt = this.trialOver();
    this.recovered();
    if (revivedAt !== undefined) return this.tryAgain(revivedAt);
    this.isTaken = this.wasTaken = true;
    this.answerTries((waiter) => waiter.busy());
    if (this.state === 'polling') this.paused().begin();
    this.adjust();
  }

  /** A trial was not sent, because nobody waited for it. */
  dropped(): void {
    const revivedAt = this.trialOver();
    if (revivedAt !== undefined) this.tryAgain(revivedAt);
    else this.adjust();
  }

  /** A trial has failed, and has taken nothing. */
  tryFailed(error: LockError): void {
    const revivedAt = this.trialOver();
    if (revivedAt !== undefined && error.isTransient && !this.site.commands.outage) return this.tryAgain(revivedAt);
    this.answerTries((waiter) => waiter.failed(error));
    if (this.waiters.size > 0) this.onError(error);
    else this.adjust();
  }

  protected decide(): void {
    const { site, waiters, places } = this;
    if (places.size > waiters.size) places.trim(waiters.size, (place) => this.unhead(place));
    if (waiters.size === 0) return this.rest();
    if (this.trial) return this.revive(this.trial);
    if (waiters.head!.isTry) this.answerFollowers();
    const { head } = waiters;
    if (!head) return this.rest();
    if (this.isHandedOn) {
      this.state = 'held';
      this.wasTaken = true;
    } else if (places.size > 0) {
      this.state = 'queued';
      if (!site.commands.outage) this.openPlaces();
    } else if (site.commands.outage || this.pauses?.isPausing) {
      this.state = 'pausing';
    } else if (this.isTaken) {
      this.openPlaces();
    } else {
      this.try(this.triedSince ?? (head.isTry ? head.since : undefined));
    }
  }

  /** The number of locks that a place counts for. */
  protected get roomOfPlace(): number {
    return 1;
  }

  /** A place is given up: whatever depends on the lock of its session must stop. */
  protected unhead(_place: Place): void {
    // Most queues have nothing to stop.
  }

  private openPlaces(): void {
    const { site, places, waiters } = this;
    while (places.size < this.wantedPlaces) {
      const { size } = places;
      if (!places.open(this.roomOfPlace)) {
        if (size > 0) return;
        // A try takes less room than a place of a semaphore.
        this.isTaken = !site.holdings.hasRoom;
        return this.onError(site.holdings.error(waiters.head!.key, site.server));
      }
      // There was no session for the place.
      if (places.size === size) return;
      this.state = 'queued';
    }
  }

  private try(since?: Ms): void {
    const { site, waiters } = this;
    if (site.holdings.take()) {
      if (this.state !== 'polling') this.state = 'trying';
      this.trial = this.newTrial(since);
      return this.trial.send();
    }
    if (this.state === 'polling') return this.paused().begin();
    // The caller may come back: there may be room once others have released their locks.
    const head = waiters.head!;
    waiters.remove(head);
    head.failed(site.holdings.error(head.key, site.server));
    this.adjust();
  }

  /** A trial has ended without a grant. It was sent before the present callers arrived, so it says nothing about the lock since then. */
  private tryAgain(since: Ms): void {
    const { head } = this.waiters;
    // It may be impossible to send another one now.
    if (head && !head.isTry) head.waits();
    this.triedSince = since;
    this.adjust();
    this.triedSince = undefined;
  }

  private rest(): void {
    // Its answer is still to come.
    this.trial?.drop();
    this.state = 'idle';
    this.isTaken = this.wasTaken = false;
    if (this.slot >= 0) this.site.alarms.cancel(this);
  }

  /** A permanent error refuses all callers. A transient one is reported to them at their deadlines. */
  private onError(error: LockError): void {
    if (!error.isTransient) return this.fail(error);
    this.paused().fail(error);
    this.adjust();
  }

  private recovered(): void {
    this.pauses?.recover(this.state === 'polling');
  }

  private paused(): QueuePauses {
    return (this.pauses ??= new QueuePauses(this.site, this));
  }
}
