import type { Alarm } from '../../common/alarms.js';
import { AcquireTimeoutError, type LockError, LockUnavailableError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { AcquireRequest, Pending, Released, Waiter } from '../backend.js';
import type { AdvisoryId } from './ids/lock-id.js';
import type { KeptHolds } from './keep/kept-holds.js';
import type { PostgresSite } from './postgres-site.js';
import { exhausted } from './queues/deadline-error.js';
import type { LockQueue } from './queues/lock-queue.js';
import { Place, type PlaceHost } from './queues/place.js';
import { Tenure, type TenureKeeper } from './queues/tenure.js';
import type { QueueWaiter } from './queues/waiter.js';

/**
 * asking: its first try has not been answered, or not been sent yet. suspended: there is no connection to ask on. placed: it has a place in the server's queue, or one is on its way.
 * over: answered, or cancelled.
 */
type State = 'asking' | 'suspended' | 'placed' | 'over';

/** A caller with a place of its own in the server's queue. In the queue of its key it only tries. */
export class PostgresTicket implements Pending, Alarm, QueueWaiter, PlaceHost, TenureKeeper {
  due: Ms = Infinity;
  slot = -1;
  prev: QueueWaiter | undefined = undefined;
  next: QueueWaiter | undefined = undefined;
  arrival = 0;
  readonly isTry = true;
  private state: State = 'asking';
  private queue: LockQueue | undefined;
  private place: Place | undefined;

  constructor(
    private readonly site: PostgresSite,
    private readonly req: AcquireRequest,
    private readonly leaseMs: Ms,
    private readonly waiter: Waiter,
  ) {
    site.waits.set(this, req.deadline);
    site.tickets.add(this);
  }

  get key(): string {
    return this.req.key;
  }

  get deadline(): Ms {
    return this.req.deadline;
  }

  /** PlaceHost */
  get placeId(): AdvisoryId {
    return this.queue!.placeId;
  }

  /** PlaceHost */
  get kept(): KeptHolds | undefined {
    return this.site.kept;
  }

  /** Asks for the lock. */
  start(): void {
    const { queue, site } = this;
    if (site.commands.outage) return this.suspend();
    if (!queue) {
      return site.lockQueueOf(this.key, (found, error) => {
        if (!found) return this.failed(error!);
        this.queue = found;
        if (this.state === 'asking') this.start();
      });
    }
    queue.afterTrial((isFirst) => {
      if (this.state !== 'asking') return;
      if (site.commands.outage) return this.suspend();
      // Whoever came before has not been served yet.
      if (queue.isUnused) queue.join(this);
      else this.enterServer(isFirst);
    });
  }

  /** There is a command session again. */
  resume(): void {
    if (this.state !== 'suspended') return;
    this.state = 'asking';
    this.start();
  }

  /** Pending */
  cancel(): void {
    const { state, place } = this;
    if (state === 'over') return;
    this.finish();
    if (state === 'suspended') return;
    if (state === 'asking') return this.queue?.leave(this);
    this.leaveServer();
    place?.cancel();
  }

  /** Nothing will come any more. */
  giveUp(error: LockError): void {
    if (this.state === 'over') return;
    this.cancel();
    this.waiter.refused(error);
  }

  /** Alarm: the deadline. What has arrived may lie in the socket (rule 4). */
  ring(): void {
    this.site.clock.afterPoll(() => {
      const { key, site } = this;
      const details = { key, server: site.server };
      this.giveUp(
        this.state === 'placed'
          ? new AcquireTimeoutError(key, details)
          : (site.commands.outage ?? new LockUnavailableError('no answer in time', details)),
      );
    });
  }

  /** QueueWaiter */
  waits(): void {
    // Its deadline counts from the start.
  }

  /** QueueWaiter */
  queued(): void {
    // Not in the queue of the key.
  }

  /** QueueWaiter: the lock is taken. It was at the head. */
  busy(): void {
    if (this.state === 'asking') this.enterServer(true);
  }

  /** QueueWaiter */
  granted(tenure: Tenure): void {
    this.finish();
    this.waiter.granted(this.site.grant(this.req, tenure, this.leaseMs));
  }

  /** QueueWaiter: its try has failed. PlaceHost: its place has. */
  failed(one: LockError | Place, error?: LockError): void {
    if (this.state === 'over') return;
    if (this.state === 'placed') this.leaveServer();
    const why = one instanceof Place ? error! : one;
    // It has lost nothing yet: it waits for the next connection, as every caller does.
    if (this.state === 'asking' && why.isTransient && this.site.commands.outage) this.suspend();
    else this.refuse(why);
  }

  /** PlaceHost */
  asked(): void {
    this.waiter.onPlaced('queued');
  }

  /** PlaceHost */
  freed(): void {
    this.site.holdings.give();
  }

  /** PlaceHost */
  owned(place: Place, fence: bigint): void {
    const now = this.site.clock.now();
    const queue = this.queue!;
    queue.removeRival();
    this.granted(new Tenure(this, this.placeId, place.session, queue.rising(fence), now, now, place));
  }

  /** PlaceHost. Without a connection, it cannot have what a ticket is. */
  denied(place: Place): void {
    const { site, key } = this;
    this.failed(place, exhausted(site.waitSessions.cap, key, site.server));
  }

  /** PlaceHost */
  lost(): void {
    // Its owner tells the holder.
  }

  /** TenureKeeper, of what its place got. */
  release({ place }: Tenure, done: (outcome: Released) => void): void {
    if (place!.isOver) done('gone');
    else place!.leave(done);
  }

  private suspend(): void {
    this.state = 'suspended';
  }

  /** @param isFirst it came before those who wait in the queue of its key. Otherwise, they have their places before it has one */
  private enterServer(isFirst: boolean): void {
    const { site, key } = this;
    if (!site.holdings.take()) return this.refuse(site.holdings.error(key, site.server));
    this.state = 'placed';
    this.queue!.addRival(isFirst);
    const place = new Place(this);
    this.place = place;
    place.open(site.waitSessions);
  }

  /** It does not wait for a place any more. */
  private leaveServer(): void {
    this.queue!.removeRival();
  }

  private refuse(error: LockError): void {
    this.finish();
    this.waiter.refused(error);
  }

  private finish(): void {
    this.state = 'over';
    this.site.waits.cancel(this);
    this.site.tickets.delete(this);
  }
}
