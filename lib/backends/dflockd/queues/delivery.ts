import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { LocalWaiter, LaneGrant, Resource } from './local-waiter.js';
import type { LocalWaiters } from './local-waiters.js';
import { Handover, type HandoverHost, isOtherLease, isSpent, isStale } from './handover.js';
import type { QueuePool } from './queue-pool.js';
import { wantedLease } from './place-lease.js';

export interface DeliveryHost {
  readonly resource: Resource;
  readonly pool: Pick<QueuePool, 'clock' | 'config' | 'readTimeoutMs' | 'defaultLeaseMs'>;
  readonly waiters: LocalWaiters;
  /** A handover is over. */
  delivered(): void;
  /** A grant had run out before it was read. */
  lapsed(): void;
  /** A grant was lost on its way. */
  onTransientError(error: LockError): void;
}

/** The way of a key queue's grants to its waiters. */
export class Delivery implements HandoverHost {
  private readonly handovers = new Set<Handover>();

  constructor(private readonly host: DeliveryHost) {}

  /** Whether a grant is being renewed for somebody. */
  get isBusy(): boolean {
    return this.handovers.size > 0;
  }

  get resource(): Resource {
    return this.host.resource;
  }

  /**
   * The grant goes to the head. It is renewed first where it is stale, and where it has another lease than the head wants and
   * the head does not renew it. With no head it is released.
   * @param askedMs the lease that it was asked for with
   */
  serve(grant: LaneGrant, askedMs: Ms): void {
    const { pool, resource } = this.host;
    const { lane, token, leaseMs, validFrom } = grant;
    if (askedMs === 0) pool.defaultLeaseMs = leaseMs;
    const stale = isStale(grant, pool);
    const head = (stale ? undefined : this.takeServed()) ?? this.takeHead();
    if (!head) {
      const { kind, key } = resource;
      lane.send({ t: 'release', kind, key, token }, () => undefined);
      return;
    }
    if (stale) return this.prepare(grant, head);
    const wantedMs = wantedLease(head, pool);
    if (!isOtherLease(askedMs || leaseMs, wantedMs)) return head.granted(grant);
    if (head.autoRenew) return head.granted({ lane, token, leaseMs, validFrom, wantedMs });
    this.prepare(grant, head);
  }

  /** Sends those away whose grants are being renewed. */
  evict(error: LockError): void {
    for (const handover of this.handovers) handover.evict(error);
  }

  /** HandoverHost */
  ready(handover: Handover, grant: LaneGrant, askedMs: Ms, waiter: LocalWaiter | undefined): void {
    this.handovers.delete(handover);
    if (!waiter) this.serve(grant, askedMs);
    // The answer to the renewal was read too late as well.
    else if (isSpent(grant, this.host.pool)) this.prepare(grant, waiter);
    else waiter.granted(grant);
    this.host.delivered();
  }

  /** HandoverHost. The waiter keeps its place at the head. */
  renewFailed(handover: Handover, error: LockError, waiter: LocalWaiter | undefined, lapsed: boolean): void {
    this.handovers.delete(handover);
    if (waiter) this.host.waiters.putBack(waiter);
    if (lapsed) this.host.lapsed();
    else this.host.onTransientError(error);
  }

  private takeHead(): LocalWaiter | undefined {
    const { waiters } = this.host;
    const { head } = waiters;
    if (head) waiters.remove(head);
    return head;
  }

  /**
   * Whose grant is being renewed, and who was before the head. That grant may turn out to be gone: what is surely there is
   * for the first, and who comes behind gets what is renewed.
   */
  private takeServed(): LocalWaiter | undefined {
    let arrival = this.host.waiters.head?.arrival ?? Infinity;
    let served: Handover | undefined;
    for (const one of this.handovers) {
      if (!one.heir || one.heir.arrival > arrival) continue;
      arrival = one.heir.arrival;
      served = one;
    }
    const waiter = served?.heir;
    served?.leave();
    return waiter;
  }

  /** Renews it for the waiter, who gets it afterwards. */
  private prepare(grant: LaneGrant, waiter: LocalWaiter): void {
    const handover = new Handover(this, grant, waiter, wantedLease(waiter, this.host.pool));
    this.handovers.add(handover);
    handover.start();
  }
}
