import type { DaemonLife, Evidence, QueueEvent, Violation } from '../log/evidence.js';
import { groupBy } from './fates.js';

/** Places are served in the order in which they were taken, and nobody is served past them. */
export function checkOrder({ lives }: Evidence): Violation[] {
  return lives.flatMap(({ queue }: DaemonLife) => [...groupBy(queue, ({ key }) => key).values()].flatMap(overtakings));
}

function overtakings(events: readonly QueueEvent[]): Violation[] {
  const found: Violation[] = [];
  // A Map keeps the order in which the places were taken.
  const queue = new Map<number, QueueEvent>();
  for (const event of events) {
    if (event.type === 'queued') {
      queue.set(event.place, event);
      continue;
    }
    if (event.type === 'granted' && queue.size > 0) {
      const head = queue.keys().next().value;
      if (head !== event.place) {
        const who = event.place === 0 ? 'a newcomer' : `place ${event.place}`;
        found.push({ check: 'order', at: event.at, text: `${event.key}: ${who} was served before place ${head}` });
      }
    }
    queue.delete(event.place);
  }
  return found;
}
