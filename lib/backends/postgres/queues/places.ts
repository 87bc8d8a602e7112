import { Place, type PlaceHost } from './place.js';
import type { QueueSite } from './queue-site.js';

/** The places of a key queue that do not own, the oldest first. Each counts towards the locks of the process until it is freed. */
export class Places {
  private readonly list: Place[] = [];

  constructor(
    private readonly host: PlaceHost,
    private readonly site: Pick<QueueSite, 'holdings' | 'waitSessions'>,
  ) {}

  get size(): number {
    return this.list.length;
  }

  /**
   * Opens another place. Returns whether it was opened. If there is no session for it, or none yet, its host is told.
   * @param room the number of locks that it counts for
   */
  open(room: number): boolean {
    if (!this.site.holdings.take(room)) return false;
    const place = new Place(this.host, room);
    this.list.push(place);
    place.open(this.site.waitSessions);
    return true;
  }

  /** A place waits again. */
  push(place: Place): void {
    this.list.push(place);
  }

  /** Gives up the youngest places. @param leaving called before each is cancelled */
  trim(size: number, leaving: (place: Place) => void): void {
    while (this.list.length > size) {
      const place = this.list.pop()!;
      leaving(place);
      place.cancel();
    }
  }

  /** A place is over, or owns from now on. */
  remove(place: Place): void {
    const at = this.list.indexOf(place);
    if (at >= 0) this.list.splice(at, 1);
  }
}
