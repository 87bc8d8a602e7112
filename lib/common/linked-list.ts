/** An element that is a member of at most one list at a time. */
export interface Linked<T> {
  prev: T | undefined;
  next: T | undefined;
}

/** A list entry for an item that must not reveal its neighbours through fields of its own. */
export class Listed<T> implements Linked<Listed<T>> {
  prev: Listed<T> | undefined = undefined;
  next: Listed<T> | undefined = undefined;

  constructor(readonly item: T) {}
}

/** An intrusive doubly linked list: appending, and removing any member, takes constant time. */
export class LinkedList<T extends Linked<T>> {
  head: T | undefined = undefined;
  tail: T | undefined = undefined;
  size = 0;

  push(item: T): void {
    item.prev = this.tail;
    item.next = undefined;
    if (this.tail) this.tail.next = item;
    else this.head = item;
    this.tail = item;
    this.size++;
  }

  /** @param next a member; if undefined, the item is appended */
  insertBefore(next: T | undefined, item: T): void {
    if (!next) return this.push(item);
    item.prev = next.prev;
    item.next = next;
    if (next.prev) next.prev.next = item;
    else this.head = item;
    next.prev = item;
    this.size++;
  }

  /** Does nothing if `item` is in no list. It must not be in another list. */
  remove(item: T): void {
    if (!item.prev && this.head !== item) return;
    if (item.prev) item.prev.next = item.next;
    else this.head = item.next;
    if (item.next) item.next.prev = item.prev;
    else this.tail = item.prev;
    item.prev = item.next = undefined;
    this.size--;
  }

  *[Symbol.iterator](): Generator<T, void> {
    // The successor is read first, so that the visited element may be removed.
    for (let item = this.head; item;) {
      const next: T | undefined = item.next;
      yield item;
      item = next;
    }
  }
}
