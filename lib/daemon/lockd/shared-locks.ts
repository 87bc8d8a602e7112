import { ownBytes } from '../../protocol/bytes.js';
import { Ledger } from './ledger.js';
import { type Member, SharedLock } from './member.js';

/** Shared locks. They are not locks of the engine: they have no limit, no lease and no queue. */
export class SharedLocks {
  private readonly locks = new Ledger<SharedLock>();
  /** Connections that have gone and are still being taken out. */
  readonly leaving = new Set<Member>();

  /** @param most the largest number of names */
  constructor(private readonly most: number) {}

  /** Names with a holder. Walks through what connections that have gone have not been taken out of yet. */
  get size(): number {
    let { size } = this.locks;
    for (const member of this.leaving) for (const lock of member.shared) if (isLeftBy(member, lock)) size--;
    return size;
  }

  /** Returns the number of holders; 0 if there are as many names as are allowed. */
  get(member: Member, name: string): number {
    let lock = this.at(name);
    if (!lock) {
      if (this.locks.size >= this.most) return 0;
      lock = new SharedLock(ownBytes(name));
      this.locks.add(lock);
    }
    lock.holders.add(member);
    member.shared.add(lock);
    return lock.holders.size;
  }

  release(member: Member, name: string): boolean {
    const lock = this.locks.get(name);
    if (!lock || !member.shared.has(lock)) return false;
    this.takeOut(member, lock);
    return true;
  }

  /** How many hold it. */
  count(name: string): number {
    return this.at(name)?.holders.size ?? 0;
  }

  /** In the order in which names were taken. */
  *walk(): Generator<SharedLock, void> {
    for (const lock of this.locks.walk()) {
      this.settle(lock);
      if (lock.holders.size > 0) yield lock;
    }
  }

  at(name: string): SharedLock | undefined {
    const lock = this.locks.get(name);
    if (!lock || this.leaving.size === 0) return lock;
    this.settle(lock);
    return this.locks.get(name);
  }

  /** Takes a connection that has gone out of up to `most` locks; returns of how many. */
  releaseSome(member: Member, most: number): number {
    let released = 0;
    for (const lock of member.shared) {
      if (released === most) break;
      this.takeOut(member, lock);
      released++;
    }
    return released;
  }

  private settle(lock: SharedLock): void {
    for (const member of this.leaving) if (member.shared.has(lock)) this.takeOut(member, lock);
  }

  private takeOut(member: Member, lock: SharedLock): void {
    member.shared.delete(lock);
    lock.holders.delete(member);
    if (lock.holders.size === 0) this.locks.delete(lock);
  }
}

/** Whether all holders have gone, of whom this is the first: of several, only one counts the lock. */
function isLeftBy(member: Member, { holders }: SharedLock): boolean {
  let first: Member | undefined;
  for (const holder of holders) {
    if (!holder.isGone) return false;
    first ??= holder;
  }
  return first === member;
}
