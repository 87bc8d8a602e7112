import type { Alarm, Alarms } from '../../common/alarms.js';
import type { Ms } from '../../common/system.js';
import { type Planned, RenewalWheel } from './renewal-wheel.js';

/**
 * A delay is 32 to 64 slots of a wheel (2^5 to 2^6): what is renewed early is so by less than 1/32 of the delay. Of 100,000
 * leases of 30 s, 1,700 are renewed together: in groups of half that size, a renewal takes a quarter more CPU time.
 */
const LOG_SLOTS = 5;
/** The shortest delay on a wheel, whose slots have 4 ms. Shorter ones would group little more than the ticks of a timer do. */
const MIN_DELAY: Ms = 128;
/** A longer delay has no logarithm here. */
const MAX_DELAY: Ms = 2 ** 31;

/** When leases are looked at: at times of their own, or for their renewals, in groups, a little early. */
export class LeaseAlarms {
  /** By the length of their slots, each made when it is first needed. */
  private readonly wheels: (RenewalWheel | undefined)[] = [];

  constructor(private readonly alarms: Alarms) {}

  /** How many leases have a time. */
  get size(): number {
    let { size } = this.alarms;
    for (const wheel of this.wheels) if (wheel) size += wheel.size - (wheel.slot < 0 ? 0 : 1);
    return size;
  }

  /** Rings at that time. */
  set(one: Alarm & Planned, due: Ms): void {
    one.group?.wheel.remove(one);
    this.alarms.set(one, due);
  }

  /**
   * Rings at that time, or a little earlier together with others.
   * @param after about how far away that is
   */
  plan(one: Alarm & Planned, due: Ms, after: Ms): void {
    one.group?.wheel.remove(one);
    if (!this.wheelFor(after)?.add(one, due)) this.alarms.set(one, due);
    else if (one.slot >= 0) this.alarms.cancel(one);
  }

  cancel(one: Alarm & Planned): void {
    if (one.group) one.group.wheel.remove(one);
    else this.alarms.cancel(one);
  }

  private wheelFor(after: Ms): RenewalWheel | undefined {
    if (!(after >= MIN_DELAY && after < MAX_DELAY)) return undefined;
    const log = 31 - Math.clz32(after) - LOG_SLOTS;
    return (this.wheels[log] ??= new RenewalWheel(this.alarms, 2 ** log));
  }
}
