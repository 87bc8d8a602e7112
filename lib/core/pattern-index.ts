import { WILDCARDS } from '../protocol/patterns.js';
import { KeyMap } from './key-map.js';
import type { Topic } from './topic.js';

/** Topics, in no particular order. */
interface Shelf {
  readonly topics: Topic[];
}

/**
 * Topics whose patterns have wildcards, indexed by their first literal token: a channel is compared only with patterns
 * that have the same token in the same position, and with the few that have no literal token. Adding or removing a
 * topic never moves more than one other.
 */
export class PatternIndex {
  private readonly byPattern = new KeyMap<Topic>();
  private readonly shelves = new KeyMap<Shelf>();

  get size(): number {
    return this.byPattern.size;
  }

  get(pattern: string): Topic | undefined {
    return this.byPattern.get(pattern);
  }

  add(topic: Topic): void {
    this.byPattern.add(topic.pattern, topic);
    const place = placeOf(topic.pattern);
    let shelf = this.shelves.get(place);
    if (!shelf) this.shelves.add(place, (shelf = { topics: [] }));
    topic.slot = shelf.topics.push(topic) - 1;
  }

  delete(topic: Topic): void {
    this.byPattern.delete(topic.pattern);
    const place = placeOf(topic.pattern);
    const { topics } = this.shelves.get(place)!;
    // The last topic moves into the free slot.
    const last = topics.pop()!;
    if (last !== topic) {
      topics[topic.slot] = last;
      last.slot = topic.slot;
    }
    if (topics.length === 0) this.shelves.delete(place);
  }

  values(): Generator<Topic, void> {
    return this.byPattern.values();
  }

  /**
   * Lists that contain every topic a channel may match, and others. If topics may come and go meanwhile, read the lists
   * from the end to the beginning: each topic is then visited at least once.
   */
  candidates(channel: string): (readonly Topic[])[] {
    const found: (readonly Topic[])[] = [];
    const look = (place: string): void => {
      const shelf = this.shelves.get(place);
      if (shelf) found.push(shelf.topics);
    };
    look('');
    for (let at = 0, from = 0; from >= 0; at++) {
      const end = channel.indexOf('.', from);
      look(`${at}.${end < 0 ? channel.slice(from) : channel.slice(from, end)}`);
      from = end < 0 ? -1 : end + 1;
    }
    return found;
  }
}

/** The position of the first literal token, and the token; empty if all tokens are wildcards. */
function placeOf(pattern: string): string {
  const tokens = pattern.split('.');
  const at = tokens.findIndex((token) => !WILDCARDS.has(token));
  return at < 0 ? '' : `${at}.${tokens[at]}`;
}
