import { describe, it } from '@jest/globals';
import { nextClientState } from '../../../lib/locks/client-state.js';
import { nextLimitState } from '../../../lib/locks/handle/hold-limit.js';
import { everyTransition } from '../../support/transition-table.js';

describe('every event in every state', () => {
  const limits = `
            lapse   end
    running lapsing over
    lapsing -       over
    over    -       over`;
  it.each(everyTransition('a hold limit', nextLimitState, limits))('of a hold limit that is %s', (_, check) => check());

  const clients = `
            close   end
    open    closing -
    closing -       closed
    closed  -       -`;
  it.each(everyTransition('a client', nextClientState, clients))('of a client that is %s', (_, check) => check());
});
