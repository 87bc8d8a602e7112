import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import { GateHead } from '../semaphores/gate-head.js';
import type { Semaphore } from '../semaphores/semaphore.js';
import type { SlotGrant } from '../semaphores/slot-user.js';
import { KeyQueue } from './key-queue.js';
import type { Place } from './place.js';
import type { QueueSite } from './queue-site.js';
import { type LastFence, SlotTenure } from './slot-tenure.js';
import { SlotTry } from './slot-try.js';
import type { Tenure } from './tenure.js';
import type { Trial } from './trial.js';

const nothing = (): void => undefined;

/**
 * The queue of a semaphore. Its places wait for the gate; whoever has the gate is the head of all queues and tries for a slot, which
 * the command session has then.
 */
export class SlotQueue extends KeyQueue {
  /** The slots of this process, whichever of its callers hold them. */
  private readonly tenures = new Set<Tenure>();
  private readonly heads = new Map<Place, GateHead>();
  /** Somebody waits or holds: the limit stays published. */
  private isUsed = false;

  /** @param fences of the semaphore in this process */
  constructor(
    site: QueueSite,
    readonly semaphore: Semaphore,
    readonly fences: LastFence = { lastFence: 0n },
  ) {
    super(site, semaphore.gate);
  }

  /** A try of this queue was granted. Other slots may be free. */
  granted(grant: SlotGrant): void {
    this.trial = undefined;
    this.won(this.hold(grant), false);
  }

  /** PlaceHost: a session of this process has the gate. */
  owned(place: Place): void {
    const head = new GateHead(this.semaphore, place.waitSession, this.site, {
      granted: (grant) => this.served(place, grant),
      failed: (error) => this.headFailed(place, error),
      over: () => this.site.holdings.give(),
    });
    // From now on, the head counts the slot, as the place did before.
    place.room--;
    this.heads.set(place, head);
    head.start();
  }

  /** PlaceHost */
  lost(place: Place, error: LockError): void {
    this.unhead(place);
    this.failed(place, error);
  }

  /** The command session has ended. */
  override down(): void {
    for (const tenure of [...this.tenures]) if (tenure.session.isEnded) this.forget(tenure);
    super.down();
  }

  override adjust(): void {
    super.adjust();
    const isUsed = this.waiters.size > 0 || this.tenures.size > 0;
    if (isUsed === this.isUsed) return;
    this.isUsed = isUsed;
    if (isUsed) this.semaphore.enter();
    else this.semaphore.leave();
  }

  get isUnused(): boolean {
    return this.state === 'idle' && !this.trial && this.tenures.size === 0 && this.rivals === 0;
  }

  /** While this process has all slots, none comes from anywhere else. */
  protected get isHandedOn(): boolean {
    return (
      this.tenures.size >= this.semaphore.limit && this.rivals === 0 && this.site.config.waitersPerKey !== Infinity
    );
  }

  /** Several slots may be free. If the last caller does not wait, no caller before it does. */
  protected override get mayFollow(): boolean {
    return this.state === 'trying' && !this.site.commands.outage && this.waiters.last?.isTry === true;
  }

  protected newTrial(since: Ms | undefined): Trial {
    return new SlotTry(this, since);
  }

  protected giveBack(tenure: Tenure, done: (outcome: Released) => void): void {
    this.tenures.delete(tenure);
    this.isTaken = false;
    const { holdings } = this.site;
    this.semaphore.free({ session: tenure.session, slot: tenure.id as bigint }, { over: () => holdings.give(), done });
    // A try for the next caller goes in the same batch: it is refused while somebody is at the gate.
    this.adjust();
  }

  protected forget(tenure: Tenure): void {
    if (!this.tenures.delete(tenure)) return;
    this.isTaken = false;
    this.site.holdings.give();
  }

  /** The gate and the slot: a place may have both for a moment. */
  protected override get roomOfPlace(): number {
    return 2;
  }

  protected override unhead(place: Place): void {
    this.heads.get(place)?.stop();
    this.heads.delete(place);
  }

  private hold(grant: SlotGrant): Tenure {
    const tenure = new SlotTenure(this, grant, this.site.clock, this.fences);
    this.tenures.add(tenure);
    return tenure;
  }

  /** The head has a slot. If others wait here, its session enters the server's queue again, at the end. */
  private served(place: Place, grant: SlotGrant): void {
    this.heads.delete(place);
    const tenure = this.hold(grant);
    const { places, waiters, site } = this;
    places.remove(place);
    const isWanted = places.size < Math.min(waiters.size - 1, site.config.waitersPerKey) && !this.isHandedOn;
    if (isWanted && site.holdings.take()) {
      // For the next slot.
      place.room++;
      places.push(place);
      place.again();
    } else {
      place.leave(nothing);
    }
    this.won(tenure, true);
  }

  /** It is the turn of others now: they must not wait at the gate for a connection of this process. */
  private headFailed(place: Place, error: LockError): void {
    this.heads.delete(place);
    place.leave(nothing);
    this.failed(place, error);
  }
}
