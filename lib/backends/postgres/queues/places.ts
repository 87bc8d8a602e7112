import { Place, type PlaceHost } from './place.js';
import type { QueueSite } from './queue-site.js';

/** The places of a key queue that do not own, the longest-standing first. Each counts among what the process has until it is freed. */
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
   * Opens one more. Returns whether it was opened; if there was no session for it, or none yet, its host is told.
   * @param room how many locks it counts for
   */
  open(room: number): boolean {
    if (!this.site.holdings.take(room)) return false;
    const place = new Place(this.host, room);
    this.list.push(place);
    place.open(this.site.waitSessions);
    return true;
  }

  /** It waits again. */
  push(place: Place): void {
    this.list.push(place);
  }

  /** Gives up the youngest ones. @param leaving called before each is cancelled */
  trim(size: number, leaving: (place: Place) => void): void {
    while (this.list.length > size) {
      const place = this.list.pop()!;
      leaving(place);
      place.cancel();
    }
  }

  /** It is over, or owns from now on. */
  remove(place: Place): void {
    const at = this.list.indexOf(place);
    if (at >= 0) this.list.splice(at, 1);
  }
}
