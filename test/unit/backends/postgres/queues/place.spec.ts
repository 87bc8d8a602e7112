import { describe, it } from '@jest/globals';
import { nextPlaceState, type PlaceEvent, type PlaceState } from '../../../../../lib/backends/postgres/queues/place.js';
import { everyTransition } from '../../../../support/transition-table.js';

const TABLE = `
             ask      grant       confirm  end
  fetching   waiting  -           -        over
  waiting    -        confirming  -        over
  confirming -        -           owning   over
  owning     waiting  -           -        over
  over       -        -           -        -
`;

describe('a place in the queue of Postgres', () => {
  it.each(everyTransition<PlaceState, PlaceEvent>('a place', nextPlaceState, TABLE))('that is %s', (_, check) =>
    check(),
  );
});
