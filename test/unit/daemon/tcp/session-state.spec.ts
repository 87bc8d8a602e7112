import { describe, it } from '@jest/globals';
import { nextSessionState } from '../../../../lib/daemon/tcp/session-state.js';
import { everyTransition } from '../../../support/transition-table.js';

describe('every event in every state of a session of the daemon', () => {
  const table = `
            login block   work answer choke  drain leave   end
    auth    ready -       -    -      -      -     leaving closed
    ready   -     blocked busy -      choked -     leaving closed
    choked  -     -       -    -      -      ready -       closed
    busy    -     -       -    ready  -      -     -       closed
    blocked -     -       -    ready  -      -     -       closed
    leaving -     -       -    -      -      -     -       closed
    closed  -     -       -    -      -      -     -       -`;
  it.each(everyTransition('a session', nextSessionState, table))('%s', (_, check) => check());
});
