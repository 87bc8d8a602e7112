import type { Alarm } from '../../common/alarms.js';
import { AcquireTimeoutError, type LockError, LockUnavailableError, PoolExhaustedError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { AcquireRequest, Pending, Released, Waiter } from '../backend.js';
import type { TryOp } from './commands/commands.js';
import type { AdvisoryId } from './ids/lock-id.js';
import type { PostgresSite } from './postgres-site.js';
import type { LockQueue } from './queues/lock-queue.js';
import { Place, type PlaceHost } from './queues/place.js';
import { Tenure, type TenureKeeper } from './queues/tenure.js';
import type { Session } from './sessions/session.js';

/**
 * resolving: the server computes the id of the key. trying: as every acquire does first. placed: it has a place in the server's queue,
 * or one is on its way. over: answered, or cancelled.
 */
type State = 'resolving' | 'trying' | 'placed' | 'over';

/** A caller with a place of its own, outside the queue of its key. */
export class PostgresTicket implements Pending, Alarm, TryOp, PlaceHost, TenureKeeper {
  due: Ms = Infinity;
  slot = -1;
  isDropped = false;
  private state: State = 'resolving';
  private queue!: LockQueue;
  private place: Place | undefined;

  constructor(
    private readonly site: PostgresSite,
    private readonly req: AcquireRequest,
    private readonly leaseMs: Ms,
    private readonly waiter: Waiter,
  ) {
    site.waits.set(this, req.deadline);
  }

  get id(): AdvisoryId {
    return this.queue.placeId;
  }

  /** PlaceHost */
  get placeId(): AdvisoryId {
    return this.queue.placeId;
  }

  start(queue: LockQueue): void {
    if (this.state !== 'resolving') return;
    const { site, req } = this;
    this.queue = queue;
    if (!site.holdings.take()) return this.refuse(site.holdings.error(req.key, site.server));
    this.state = 'trying';
    site.commands.try(this);
  }

  /** Pending */
  cancel(): void {
    const { state, place, site } = this;
    if (state === 'over') return;
    this.finish();
    this.isDropped = true;
    if (state !== 'resolving') site.holdings.give();
    if (state !== 'placed') return;
    place!.cancel();
    this.queue.removeRival();
  }

  /** Alarm: the deadline. What has arrived may lie in the socket (rule 4). */
  ring(): void {
    this.site.clock.afterPoll(() => {
      const { state, req, site } = this;
      if (state === 'over') return;
      this.cancel();
      const details = { key: req.key, server: site.server };
      this.waiter.refused(
        state === 'placed'
          ? new AcquireTimeoutError(req.key, details)
          : new LockUnavailableError('no answer in time', details),
      );
    });
  }

  /** TryOp, PlaceHost */
  granted(session: Session, fence: bigint, sentAt: Ms): void {
    this.grant(new Tenure(this, this.id, session, this.queue.rising(fence), sentAt, this.site.clock.now()));
  }

  /** TryOp. Those who came before need a place before it has one. */
  refused(): void {
    this.state = 'placed';
    this.queue.addRival();
    if (!this.isPlaced) return;
    const place = new Place(this);
    this.place = place;
    place.open(this.site.waitSessions);
  }

  /** TryOp, PlaceHost; or there is no queue. */
  failed(one: LockError | Place, error?: LockError): void {
    if (this.state === 'over') return;
    const { state } = this;
    if (state !== 'resolving') this.site.holdings.give();
    if (state === 'placed') this.queue.removeRival();
    this.refuse(one instanceof Place ? error! : one);
  }

  /** PlaceHost */
  asked(): void {
    this.waiter.onPlaced('queued');
  }

  /** PlaceHost */
  owned(place: Place, fence: bigint): void {
    const now = this.site.clock.now();
    this.queue.removeRival();
    this.grant(new Tenure(this, this.id, place.session, this.queue.rising(fence), now, now, place));
  }

  /** PlaceHost. Without a connection, it cannot have what a ticket is. */
  denied(place: Place): void {
    const { site, req } = this;
    const text = `all ${site.waitSessions.cap} wait connections to ${site.server} are in use (option maxWaitConnections)`;
    this.failed(place, new PoolExhaustedError(text, { key: req.key, server: site.server }));
  }

  /** PlaceHost. Its owner tells the holder. */
  lost(): void {
    this.site.holdings.give();
  }

  /** TenureKeeper */
  release({ session, place }: Tenure, done: (outcome: Released) => void): void {
    const { site, id } = this;
    // It was counted off when the session ended.
    if (place?.isOver) return done('gone');
    const given = (outcome: Released): void => {
      site.holdings.give();
      done(outcome);
    };
    if (place) place.leave(given);
    else site.commands.unlock(session, { id, done: given });
  }

  private get isPlaced(): boolean {
    return this.state === 'placed';
  }

  private grant(tenure: Tenure): void {
    this.finish();
    this.waiter.granted(this.site.grant(this.req, tenure, this.leaseMs));
  }

  private refuse(error: LockError): void {
    this.finish();
    this.waiter.refused(error);
  }

  private finish(): void {
    this.state = 'over';
    this.site.waits.cancel(this);
  }
}
