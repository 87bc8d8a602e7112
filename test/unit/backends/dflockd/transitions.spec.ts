import { describe, expect, it } from '@jest/globals';
import { nextConnectorState } from '../../../../lib/backends/dflockd/lanes/connector.js';
import { type LaneEvent, type LaneState, nextState } from '../../../../lib/backends/dflockd/lanes/lane-state.js';
import { nextLinkState } from '../../../../lib/backends/dflockd/lanes/link-state.js';
import {
  type KeyQueueEvent,
  type KeyQueueState,
  nextKeyQueueState,
} from '../../../../lib/backends/dflockd/queues/key-queue-state.js';
import { nextPlaceState } from '../../../../lib/backends/dflockd/queues/place.js';
import { nextGrantState } from '../../../../lib/backends/dflockd/remote-grant.js';
import { everyTransition, outcome, transitionTable as table } from '../../../support/transition-table.js';

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
        const is = outcome('a lane', () => nextState(state as LaneState, event as LaneEvent, grants), state, event);
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
  it.each(everyTransition<KeyQueueState, KeyQueueEvent>('a key queue', nextKeyQueueState, queues))(
    'of a key queue that is %s',
    (_, check) => check(),
  );

  const places = `
             ask    answer   end
    fetching asking -        over
    asking   -      answered over
    answered asking -        over
    over     -      -        over`;
  it.each(everyTransition('a place', nextPlaceState, places))('of a place that is %s', (_, check) => check());

  const connectors = `
             greet    end
    dialing  greeting over
    greeting -        over
    over     -        -`;
  it.each(everyTransition('a connector', nextConnectorState, connectors))('of a connector that is %s', (_, check) =>
    check(),
  );

  const grants = `
              release   end
    owned     releasing over
    releasing releasing over
    over      over      -`;
  it.each(everyTransition('a grant', nextGrantState, grants))('of a grant that is %s', (_, check) => check());

  const links = `
              dial    connect replace   retry refuse  rest close
    idle      dialing -       -         -     -       idle closed
    dialing   -       up      -         down  refused idle closed
    up        -       -       replacing down  refused idle closed
    replacing -       up      -         down  refused idle closed
    down      dialing -       -         -     -       idle closed
    refused   dialing -       -         -     -       idle closed
    closed    -       -       -         -     -       -    -`;
  it.each(everyTransition('a link', nextLinkState, links))('of a link that is %s', (_, check) => check());
});
