import type { Alarm, Alarms } from '../../common/alarms.js';
import { LinkedList } from '../../common/linked-list.js';
import type { Clock, Ms } from '../../common/system.js';
import type { PostgresGrant } from './postgres-grant.js';

/**
 * Postgres knows no leases: a lock lives as long as its session. So this process ends those that were not renewed. One alarm serves all of
 * them; a grant costs a place in a list.
 */
export class Leases implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private readonly grants = new LinkedList<PostgresGrant>();

  /** @param expired called with each grant whose lease has ended. Must not throw */
  constructor(
    private readonly clock: Clock,
    private readonly alarms: Alarms,
    private readonly expired: (grant: PostgresGrant) => void,
  ) {}

  get size(): number {
    return this.grants.size;
  }

  add(grant: PostgresGrant): void {
    this.grants.push(grant);
    if (grant.until < this.due) this.alarms.set(this, grant.until);
  }

  remove(grant: PostgresGrant): void {
    this.grants.remove(grant);
  }

  /** The lease now ends at another time. */
  move(grant: PostgresGrant, until: Ms): void {
    grant.until = until;
    if (until < this.due) this.alarms.set(this, until);
  }

  /** Alarm. After a stall, timers run before input, and a renewal may be in it. */
  ring(): void {
    this.due = Infinity;
    this.clock.afterPoll(() => this.sweep());
  }

  private sweep(): void {
    const now = this.clock.now();
    let next = Infinity;
    const over: PostgresGrant[] = [];
    for (const grant of this.grants) {
      if (grant.until <= now) over.push(grant);
      else if (grant.until < next) next = grant.until;
    }
    for (const grant of over) this.grants.remove(grant);
    if (next < this.due) this.alarms.set(this, next);
    for (const grant of over) this.expired(grant);
  }
}
