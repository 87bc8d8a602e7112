import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { LocalWaiters } from '../../queues/local-waiters.js';
import type { LocalWaiter, LaneGrant, Resource } from './local-waiter.js';
import { Handover, type HandoverHost, isOtherLease, isSpent, isStale } from './handover.js';
import type { QueuePool } from './queue-pool.js';
import { wantedLease } from './place-lease.js';

export interface DeliveryHost {
  readonly resource: Resource;
  readonly pool: Pick<QueuePool, 'clock' | 'config' | 'readTimeoutMs' | 'defaultLeaseMs'>;
  readonly waiters: LocalWaiters<LocalWaiter>;
  /** A handover is over. */
  delivered(): void;
  /** A grant had expired before its reply was read. */
  lapsed(): void;
  /** A grant was lost before it was handed over. */
  onTransientError(error: LockError): void;
}

/** Hands the grants of a key queue to its waiters. */
export class Delivery implements HandoverHost {
  private readonly handovers = new Set<Handover>();

  constructor(private readonly host: DeliveryHost) {}

  /** Whether a grant is being renewed for a waiter. */
  get isBusy(): boolean {
    return this.handovers.size > 0;
  }

  get resource(): Resource {
    return this.host.resource;
  }

  /**
   * Gives the grant to the head. It is renewed first if it is stale, or if its lease is not the one that the head wants
   * and the head does not renew it itself. Without a head it is released.
   * @param askedMs the lease that was requested
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

  /** Refuses the waiters whose grants are being renewed. */
  evict(error: LockError): void {
    for (const handover of this.handovers) handover.evict(error);
  }

  /** HandoverHost */
  ready(handover: Handover, grant: LaneGrant, askedMs: Ms, waiter: LocalWaiter | undefined): void {
    this.handovers.delete(handover);
    if (!waiter) this.serve(grant, askedMs);
    // The reply to the renewal was read too late as well.
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
   * The waiter before the head whose grant is being renewed, if any. Its own grant may turn out to be gone, so it gets
   * the one that is certain, and the renewed grant goes to the next.
   */
  private takeServed(): LocalWaiter | undefined {
    let arrival = this.host.waiters.head?.arrival ?? Infinity;
    let served: Handover | undefined;
    for (const one of this.handovers) {
      if (!one.recipient || one.recipient.arrival > arrival) continue;
      arrival = one.recipient.arrival;
      served = one;
    }
    const waiter = served?.recipient;
    served?.leave();
    return waiter;
  }

  /** Renews the grant before the waiter gets it. */
  private prepare(grant: LaneGrant, waiter: LocalWaiter): void {
    const handover = new Handover(this, grant, waiter, wantedLease(waiter, this.host.pool));
    this.handovers.add(handover);
    handover.start();
  }
}
