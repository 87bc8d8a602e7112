import type { Ms } from '../../../common/system.js';
import type { Kind, Limit } from '../../../protocol/messages.js';
import type { Resource } from './local-waiter.js';

/** Something of this process that concerns a key. */
export interface LocalUse {
  /** Until when it holds a slot for sure, without a safety margin; undefined while it only tries to get one. */
  readonly heldUntil: Ms | undefined;
}

/** Another limit is another semaphore, which the server refuses by itself. */
export const semaphoreName = (key: string, limit: Limit): string => `${limit} ${key}`;

/** Entries that nobody needs are kept up to this number, as they are likely to be needed again; so are as many as others. */
const SPARE_ENTRIES = 2048;

/** What this process itself has to do with keys: where it holds every slot, nobody needs to try. */
export class LocalUses<U extends LocalUse> {
  /** Adding to a map and deleting from it for each lock that is taken would cost half of what the whole lock does. */
  private readonly locks = new Map<string, { use: U | undefined }>();
  private unused = 0;
  private readonly semaphores = new Map<string, Set<U>>();

  /** Entries for locks, unused ones included. */
  get size(): number {
    return this.locks.size;
  }

  /** The one that holds the lock, or tries to get it. */
  ofLock(key: string): U | undefined {
    return this.locks.get(key)?.use;
  }

  /** Whether every slot is held, at least until `now`. */
  isFull({ kind, key, limit }: Resource, now: Ms): boolean {
    if (kind === 'lock') return (this.ofLock(key)?.heldUntil ?? -Infinity) > now;
    const uses = this.semaphores.get(semaphoreName(key, limit));
    if (!uses || uses.size < limit) return false;
    let held = 0;
    for (const { heldUntil } of uses) if (heldUntil !== undefined && heldUntil > now) held++;
    return held >= limit;
  }

  set(kind: Kind, key: string, limit: Limit, use: U): void {
    if (kind === 'lock') return this.setLock(key, use);
    const name = semaphoreName(key, limit);
    const uses = this.semaphores.get(name);
    if (uses) uses.add(use);
    else this.semaphores.set(name, new Set([use]));
  }

  delete(kind: Kind, key: string, limit: Limit, use: U): void {
    if (kind === 'lock') return this.deleteLock(key, use);
    const name = semaphoreName(key, limit);
    const uses = this.semaphores.get(name);
    if (uses?.delete(use) && uses.size === 0) this.semaphores.delete(name);
  }

  private setLock(key: string, use: U): void {
    const entry = this.locks.get(key);
    if (!entry) this.locks.set(key, { use });
    else {
      if (!entry.use) this.unused--;
      entry.use = use;
    }
  }

  private deleteLock(key: string, use: U): void {
    const entry = this.locks.get(key);
    if (entry?.use !== use) return;
    entry.use = undefined;
    this.unused++;
    if (this.unused <= SPARE_ENTRIES || this.unused * 2 <= this.locks.size) return;
    for (const [name, { use: used }] of this.locks) if (!used) this.locks.delete(name);
    this.unused = 0;
  }
}
