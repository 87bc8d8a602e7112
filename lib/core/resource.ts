import type { Expiring } from '../common/expiry-heap.js';
import { LinkedList, type Linked } from '../common/linked-list.js';
import type { Ms } from '../common/system.js';
import type { Kind, Limit } from '../protocol/messages.js';
import { type HolderSet, ManyHolders, OneHolder } from './holders.js';
import type { Session } from './session.js';
import type { OpId } from './types.js';

/** A held slot of a resource. Member of the list of its session, and of the holders of its resource. */
export class Hold implements Linked<Hold>, Expiring {
  prev: Hold | undefined = undefined;
  next: Hold | undefined = undefined;
  slot = -1;
  /** The lease has expired but has not been taken away yet. */
  lapsed = false;
  /** Set while an `enqueue` got this hold and no `wait` has returned it yet. */
  ticket: Ticket | undefined = undefined;
  /** When it was granted. Set only if the engine has an observer; otherwise holds are a field smaller. */
  declare since: Ms;

  constructor(
    readonly res: Resource,
    readonly session: Session,
    readonly token: string,
    /** End of the lease. */
    public due: Ms,
  ) {}
}

/** A place in a resource's queue. */
export class Waiter implements Linked<Waiter>, Expiring {
  prev: Waiter | undefined = undefined;
  next: Waiter | undefined = undefined;
  slot = -1;
  /** End of the wait; Infinity for an enqueued place without a `wait`. */
  due: Ms = Infinity;
  /** The operation to answer on a grant; undefined for an enqueued place without a `wait`. */
  op: OpId | undefined = undefined;
  /** When it joined the queue. Set only if the engine has an observer. */
  declare since: Ms;

  constructor(
    readonly res: Resource,
    readonly session: Session,
    readonly leaseMs: Ms,
    readonly ticket: Ticket | undefined,
  ) {}
}

/** Two-phase state of one session and resource (spec 4.5): QUEUED while `waiter` is set, GRANTED while `hold` is. */
export interface Ticket {
  /** As given to `enqueue`; applied again when `wait` is answered. */
  readonly leaseMs: Ms;
  waiter: Waiter | undefined;
  hold: Hold | undefined;
}

/** Key, limit, holders and one queue (spec 4.1). Only data: Granting enforces the limit and the order. */
export class Resource implements Linked<Resource>, Expiring {
  prev: Resource | undefined = undefined;
  next: Resource | undefined = undefined;
  slot = -1;
  due: Ms = Infinity;
  /** First in, first out, and at most `maxWaiters` long; both by Granting. */
  readonly queue = new LinkedList<Waiter>();
  readonly holders: HolderSet<Hold>;
  /** When the last holder or waiter left; undefined while there is one. */
  idleSince: Ms | undefined = undefined;

  constructor(
    readonly kind: Kind,
    readonly key: string,
    readonly limit: Limit,
    /** How many walks through the table had begun when it was created. */
    readonly born = 0,
  ) {
    this.holders = limit === 1 ? new OneHolder<Hold>() : new ManyHolders<Hold>();
  }
}
