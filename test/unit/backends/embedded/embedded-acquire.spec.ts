import { describe, it } from '@jest/globals';
import { nextAcquireState } from '../../../../lib/backends/embedded/embedded-acquire.js';
import { everyTransition } from '../../../support/transition-table.js';

describe('every event in every state of an acquire from the engine of this process', () => {
  const table = `
           queue  end
    asking queued over
    queued -      over
    over   -      -`;
  it.each(everyTransition('an acquire', nextAcquireState, table))('%s', (_, check) => check());
});
