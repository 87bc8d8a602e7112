import { describe, expect, it } from '@jest/globals';
import { type LaneEvent, type LaneState, nextState } from '../../../../lib/backends/dflockd/lanes/lane-state.js';
import {
  type KeyQueueEvent,
  type KeyQueueState,
  nextKeyQueueState,
} from '../../../../lib/backends/dflockd/queues/key-queue-state.js';
import { nextPlaceState, type PlaceState } from '../../../../lib/backends/dflockd/queues/place.js';

/** What becomes of each state with each event; `-` where the event is a mistake. */
function table(text: string): { events: string[]; rows: { state: string; next: string[] }[] } {
  const [head, ...rows] = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return { events: head!, rows: rows.map(([state, ...next]) => ({ state: state!, next })) };
}

const outcome = (name: string, step: () => string, state: string, event: string): string => {
  try {
    return step();
  } catch (error) {
    expect((error as Error).message).toBe(`a ${name} that is ${state} cannot "${event}"`);
    return '-';
  }
};

describe('every event in every state', () => {
  const lanes = `
               connected block   unblock  count    doubt    trust    drain    retire  end
    connecting free      -       -        -        -        -        -        closed  closed
    free       -         blocked -        settled  suspect  -        draining closing closed
    blocked    -         -       settled  -        suspect  -        draining closing closed
    holding    -         -       -        settled  suspect  -        draining closing closed
    suspect    -         -       suspect  suspect  suspect  settled  draining closing closed
    draining   -         -       draining draining draining draining draining closing closed
    closing    -         -       closing  closing  closing  closing  closing  closing closed
    closed     -         -       -        closed   -        -        closed   closed  closed`;
  it.each(table(lanes).rows)('of a lane that is $state', ({ state, next }) => {
    for (const [at, event] of table(lanes).events.entries()) {
      for (const grants of [0, 1, 2]) {
        const is = outcome('lane', () => nextState(state as LaneState, event as LaneEvent, grants), state, event);
        const settled = grants > 0 ? 'holding' : 'free';
        expect([event, is]).toEqual([event, next[at] === 'settled' ? settled : next[at]]);
      }
    }
  });

  const queues = `
            tried   placed denied  failed  emptied
    trying  pausing -      -       -       over
    queued  -       queued polling pausing over
    polling -       queued polling -       over
    pausing -       queued polling pausing over
    over    -       -      -       -       over`;
  it.each(table(queues).rows)('of a key queue that is $state', ({ state, next }) => {
    const { events } = table(queues);
    const are = events.map((e) =>
      outcome('key queue', () => nextKeyQueueState(state as KeyQueueState, e as KeyQueueEvent), state, e),
    );
    expect(are).toEqual(next);
  });

  const places = `
             ask    answer   end
    fetching asking -        over
    asking   -      answered over
    answered asking -        over
    over     -      -        over`;
  it.each(table(places).rows)('of a place that is $state', ({ state, next }) => {
    const { events } = table(places);
    const are = events.map((e) =>
      outcome('place', () => nextPlaceState(state as PlaceState, e as 'ask' | 'answer' | 'end'), state, e),
    );
    expect(are).toEqual(next);
  });
});
