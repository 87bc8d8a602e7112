import type { AdvisoryId } from '../ids/lock-id.js';

/** An id as a key of sets and maps. */
export const bookKey = (id: AdvisoryId): bigint | string => (typeof id === 'bigint' ? id : id.join());

/**
 * The ids that a command session has or may have. A session may take its own lock again, so that an id in the book is not
 * tried. It enters when its try goes into a batch, and leaves when that try is refused or its release goes into a batch.
 * Nobody else writes here: whoever removed an id for another reason would let two callers have the lock.
 */
export class IdBook {
  private readonly ids = new Set<bigint | string>();

  get size(): number {
    return this.ids.size;
  }

  has(id: AdvisoryId): boolean {
    return this.ids.has(bookKey(id));
  }

  /** @returns false if it is there already */
  enter(id: AdvisoryId): boolean {
    const { size } = this.ids;
    return this.ids.add(bookKey(id)).size > size;
  }

  /** @returns false if it is not there */
  leave(id: AdvisoryId): boolean {
    return this.ids.delete(bookKey(id));
  }
}
