import type { Ms } from './system.js';

/** An element of an ExpiryHeap. The heap maintains `slot`: -1 while the element is in no heap. */
export interface Expiring {
  due: Ms;
  slot: number;
}

/** A binary heap ordered by `due` that tracks where its elements are: insert, move and remove take O(log n). */
export class ExpiryHeap<T extends Expiring> {
  private readonly items: T[] = [];

  get size(): number {
    return this.items.length;
  }

  /** The element that is due first. */
  get first(): T | undefined {
    return this.items[0];
  }

  /** Up to `most` elements, in no order. */
  some(most: number): T[] {
    return this.items.slice(0, most);
  }

  /** When the first element is due; Infinity when empty. */
  get firstDue(): Ms {
    return this.items.length > 0 ? this.items[0]!.due : Infinity;
  }

  /** Inserts the element, or moves it if it is already in the heap. */
  set(item: T, due: Ms): void {
    const { slot } = item;
    if (slot < 0) {
      item.due = due;
      this.items.push(item);
      this.up(item, this.items.length - 1);
    } else {
      const later = due > item.due;
      item.due = due;
      if (later) this.down(item, slot);
      else this.up(item, slot);
    }
  }

  /** Removes the element if it is in the heap. */
  remove(item: T): void {
    const { slot } = item;
    if (slot < 0) return;
    item.slot = -1;
    const last = this.items.pop()!;
    if (last === item) return;
    if (last.due < item.due) this.up(last, slot);
    else this.down(last, slot);
  }

  private up(item: T, slot: number): void {
    const { items } = this;
    while (slot > 0) {
      const above = (slot - 1) >> 1;
      const parent = items[above]!;
      if (parent.due <= item.due) break;
      items[slot] = parent;
      parent.slot = slot;
      slot = above;
    }
    items[slot] = item;
    item.slot = slot;
  }

  private down(item: T, slot: number): void {
    const { items } = this;
    const { length } = items;
    for (;;) {
      let below = 2 * slot + 1;
      if (below >= length) break;
      if (below + 1 < length && items[below + 1]!.due < items[below]!.due) below++;
      const child = items[below]!;
      if (child.due >= item.due) break;
      items[slot] = child;
      child.slot = slot;
      slot = below;
    }
    items[slot] = item;
    item.slot = slot;
  }
}
