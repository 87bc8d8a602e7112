import type { Alarm, Alarms } from '../../common/alarms.js';
import type { Ms } from '../../common/system.js';

/** A member of at most one group of a wheel. The wheel maintains `group` and `place`. */
export interface Planned {
  group: RenewalGroup | undefined;
  place: number;
  /** The time of its group has come: its own will within `earlyMs`. Must not throw. */
  ring(now: Ms, earlyMs: Ms): void;
}

/** What is planned for the same slot of time. */
export interface RenewalGroup {
  readonly wheel: RenewalWheel;
  readonly members: Planned[];
  /** Number of the slot, counted from time 0. Of no meaning while the group is empty. */
  slot: number;
  /** Not later than the first member is due; Infinity while the group is empty. */
  firstDue: Ms;
}

/** Number of slots that a wheel has groups for, a power of two. */
const GROUPS = 128;

/**
 * What is planned for a later time, in slots of it: when the first of a slot is due, all of its slot are done, in one turn and so
 * in one write. A heap orders what need not be in order, and with many leases that costs more than a renewal does.
 */
export class RenewalWheel implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private readonly groups: readonly RenewalGroup[];

  constructor(
    private readonly alarms: Alarms,
    private readonly slotMs: Ms,
  ) {
    this.groups = Array.from({ length: GROUPS }, () => ({ wheel: this, members: [], slot: 0, firstDue: Infinity }));
  }

  /** How many are planned. */
  get size(): number {
    return this.groups.reduce((sum, { members }) => sum + members.length, 0);
  }

  /** Returns false for what is too far away to have a slot. */
  add(one: Planned, due: Ms): boolean {
    const slot = Math.floor(due / this.slotMs);
    const group = this.groups[slot & (GROUPS - 1)]!;
    const { members } = group;
    if (members.length === 0) group.slot = slot;
    else if (group.slot !== slot) return false;
    one.group = group;
    one.place = members.length;
    members.push(one);
    if (due < group.firstDue) group.firstDue = due;
    if (this.slot < 0 || due < this.due) this.alarms.set(this, due);
    return true;
  }

  remove(one: Planned): void {
    const { group, place } = one;
    if (group === undefined) return;
    one.group = undefined;
    const { members } = group;
    const last = members.pop()!;
    if (last !== one) {
      members[place] = last;
      last.place = place;
    } else if (members.length === 0) group.firstDue = Infinity;
    // The alarm stays, even if nothing is left: one idle ring costs less than an alarm set and cancelled for each lock.
  }

  ring(now: Ms): void {
    try {
      for (const group of this.groups) if (group.firstDue <= now) this.open(group, now);
    } finally {
      let next = Infinity;
      for (const { firstDue } of this.groups) if (firstDue < next) next = firstDue;
      this.alarms.set(this, next);
    }
  }

  private open(group: RenewalGroup, now: Ms): void {
    const { members } = group;
    let done = 0;
    try {
      // Members may be removed meanwhile.
      while (done < members.length) {
        const one = members[done++]!;
        one.group = undefined;
        one.ring(now, this.slotMs);
      }
    } finally {
      // If one throws and the process survives, the others still have their turn: holders depend on them.
      if (done === members.length) members.length = 0;
      else members.splice(0, done);
      members.forEach((one, place) => (one.place = place));
      group.firstDue = members.length === 0 ? Infinity : now;
    }
  }
}
