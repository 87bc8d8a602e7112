import { fromBytes, ownBytes, toBytes } from '../../protocol/bytes.js';
import { LINE_CAP } from '../../protocol/limits.js';
import { hashLongKey } from '../../common/hashed-key.js';
import type { Ms } from '../../common/system.js';
import type { Engine } from '../../core/engine.js';
import type { FreedBy } from '../../core/observer.js';
import type { Hold } from '../../core/resource.js';
import { type Entry, Ledger } from './ledger.js';
import type { Member } from './member.js';

/**
 * The key of a name on the engine. A name that fits into a line of dflockd is its own key, whatever its characters, and
 * a longer one has the key that LockClient gives it.
 */
export const keyOf = (name: string): string =>
  name.length <= LINE_CAP ? name : toBytes(hashLongKey(fromBytes(name), LINE_CAP));

/** An exclusive lock that a connection of this listener holds. */
export class HeldLock implements Entry<HeldLock> {
  prev: HeldLock | undefined = undefined;
  next: HeldLock | undefined = undefined;
  serial = 0;

  constructor(
    readonly name: string,
    readonly owner: Member,
    readonly hold: Hold,
  ) {}

  get key(): string {
    return this.hold.res.key;
  }
}

/**
 * Exclusive locks: locks of the engine, with leases without end. Their tokens never leave the engine, so that only
 * the connection that took a lock releases it.
 */
export class ExclusiveLocks {
  private readonly held = new Ledger<HeldLock>();

  constructor(private readonly engine: Engine) {}

  /** Names held through this listener; those of connections that have gone and are still being released included. */
  get size(): number {
    return this.held.size;
  }

  get(member: Member, name: string, now: Ms): boolean {
    const key = keyOf(name);
    const held = this.heldAt(key, now);
    if (held) return held.owner === member && held.name === name;
    member.answer = undefined;
    this.engine.exec(
      member.session,
      0,
      { t: 'acquire', kind: 'lock', key, limit: 1, waitMs: 0, leaseMs: Infinity },
      now,
    );
    const answer = member.answer as Member['answer'];
    if (answer?.s !== 'granted') return false;
    const hold = this.engine.holdWith('lock', key, answer.token)!;
    // The key is a copy already; a slice of a received chunk would keep the chunk alive.
    this.held.add(new HeldLock(key === name ? hold.res.key : ownBytes(name), member, hold));
    return true;
  }

  release(member: Member, name: string, now: Ms): boolean {
    const held = this.held.get(keyOf(name));
    if (held?.owner !== member || held.name !== name) return false;
    this.free(held, now, 'release');
    return true;
  }

  /** Whether anyone holds it, also through dflockd. */
  isLocked(name: string, now: Ms): boolean {
    const key = keyOf(name);
    return this.heldAt(key, now) !== undefined || this.engine.isHeld('lock', key);
  }

  /** How the holder is shown: by its name or address. Undefined if the lock is free. */
  holderOf(name: string, now: Ms): string | undefined {
    const key = keyOf(name);
    return this.heldAt(key, now)?.owner.label ?? this.engine.holdOf(key)?.session.peer;
  }

  /** Those held through this listener, in the order in which they were taken. */
  *walk(): Generator<HeldLock, void> {
    for (const held of this.held.walk()) if (!held.owner.isGone) yield held;
  }

  /** Releases up to `most` locks of a connection that has gone; returns how many. */
  releaseSome({ session: { holds } }: Member, most: number, now: Ms): number {
    let released = 0;
    for (; holds.head && released < most; released++) this.free(this.held.get(holds.head.res.key)!, now, 'disconnect');
    return released;
  }

  private heldAt(key: string, now: Ms): HeldLock | undefined {
    const held = this.held.get(key);
    if (!held?.owner.isGone) return held;
    this.free(held, now, 'disconnect');
    return undefined;
  }

  private free(held: HeldLock, now: Ms, by: FreedBy): void {
    this.held.delete(held);
    this.engine.giveBack(held.hold, now, by);
  }
}
