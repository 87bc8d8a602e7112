import { LinkedList, type Linked } from '../../common/linked-list.js';
import { KeyMap } from '../../core/key-map.js';

/** What is held under a name. */
export interface Entry<T> extends Linked<T> {
  readonly key: string;
  /** Rises in the order in which names are taken. */
  serial: number;
}

/** Where a walk continues. */
interface Place<T> {
  next: T | undefined;
}

/** Entries by key, and in the order in which they were added. */
export class Ledger<T extends Entry<T>> {
  private readonly byKey = new KeyMap<T>();
  private readonly order = new LinkedList<T>();
  private readonly places = new Set<Place<T>>();
  private lastSerial = 0;

  get size(): number {
    return this.order.size;
  }

  get(key: string): T | undefined {
    return this.byKey.get(key);
  }

  /** Its key must not have an entry. */
  add(entry: T): void {
    entry.serial = ++this.lastSerial;
    this.byKey.add(entry.key, entry);
    this.order.push(entry);
  }

  delete(entry: T): void {
    if (this.places.size > 0) for (const place of this.places) if (place.next === entry) place.next = entry.next;
    this.byKey.delete(entry.key);
    this.order.remove(entry);
  }

  /** The entries that exist now, each unless it is deleted before its turn. Entries may come and go between two steps. */
  *walk(): Generator<T, void> {
    const last = this.lastSerial;
    const place: Place<T> = { next: this.order.head };
    this.places.add(place);
    try {
      for (let entry = place.next; entry && entry.serial <= last; entry = place.next) {
        place.next = entry.next;
        yield entry;
      }
    } finally {
      this.places.delete(place);
    }
  }
}
