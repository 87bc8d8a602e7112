import { describe, it } from '@jest/globals';
import { nextHoldState } from '../../../../lib/dropin/dflockd-client/hold-state.js';
import { everyTransition } from '../../../support/transition-table.js';

describe('every event in every state of a hold', () => {
  const table = `
              ask    queue  hold release   end
    new       asking -      -    releasing over
    asking    -      queued held releasing over
    queued    asking -      -    releasing over
    held      -      -      -    releasing over
    releasing -      -      -    releasing over
    over      -      -      -    -         -`;
  it.each(everyTransition('a hold', nextHoldState, table))('%s', (_, check) => check());
});
