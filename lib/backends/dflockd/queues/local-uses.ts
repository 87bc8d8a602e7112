import type { Ms } from '../../../common/system.js';
import type { Kind, Limit } from '../../../protocol/messages.js';
import type { Resource } from './local-waiter.js';

/** An acquire or a held lock of this process. */
export interface LocalUse {
  /**
   * Time until which it certainly holds a slot, without a safety margin; undefined while it only tries to acquire one.
   */
  readonly heldUntil: Ms | undefined;
}

/** Semaphores of different limits are distinct here; the server itself refuses a differing limit. */
export const semaphoreName = (key: string, limit: Limit): string => `${limit} ${key}`;

/** Up to this many unused entries are kept for reuse, or as many as are in use if these are more. */
const SPARE_ENTRIES = 2048;

/** What this process itself holds or tries to acquire. If it holds every slot, a try would fail. */
export class LocalUses<U extends LocalUse> {
  /**
   * Entries are reused: adding to and deleting from a map for each acquire would cost half as much as the whole
   * acquire.
   */
  private readonly locks = new Map<string, { use: U | undefined }>();
  private unused = 0;
  private readonly semaphores = new Map<string, Set<U>>();

  /** Number of entries for locks, including unused ones. */
  get size(): number {
    return this.locks.size;
  }

  /** The use that holds the lock or tries to acquire it. */
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
