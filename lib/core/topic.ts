import type { Session } from './session.js';
import { WEIGHT } from './signal-weight.js';

/**
 * The listeners of a pattern that are in no group, each with the moment at which it was added. Most patterns have one
 * listener, which needs no map.
 */
export class Listeners {
  private one: Session | undefined = undefined;
  private oneSince = 0;
  private many: Map<Session, number> | undefined = undefined;

  get size(): number {
    return this.many ? this.many.size : this.one ? 1 : 0;
  }

  /** @param session must not be in the set yet */
  add(session: Session, since: number): void {
    if (this.many) {
      this.many.set(session, since);
    } else if (this.one) {
      this.many = new Map([
        [this.one, this.oneSince],
        [session, since],
      ]);
      this.one = undefined;
    } else {
      this.one = session;
      this.oneSince = since;
    }
  }

  delete(session: Session): void {
    if (this.many) this.many.delete(session);
    else if (this.one === session) this.one = undefined;
  }

  /** In the order of addition. Listeners may come and go between two steps. */
  [Symbol.iterator](): Iterator<readonly [Session, number]> {
    if (this.many) return this.many.entries();
    return (this.one ? [[this.one, this.oneSince] as const] : [])[Symbol.iterator]();
  }
}

/** The members of one (pattern, group) pair; they take turns, and each signal goes to one of them (spec 6.3). */
export interface Group {
  readonly members: Session[];
  turn: number;
  readonly since: number;
}

/** A pattern and its listeners. */
export class Topic {
  readonly everyone = new Listeners();
  groups: Map<string, Group> | undefined = undefined;
  /** Its place in the index of patterns. */
  slot = -1;
  /** Of the listeners in no group that there have been, the highest. */
  copyWeight = WEIGHT.copy;

  constructor(
    readonly pattern: string,
    readonly since: number,
  ) {}

  get isEmpty(): boolean {
    return this.everyone.size === 0 && (this.groups === undefined || this.groups.size === 0);
  }
}
