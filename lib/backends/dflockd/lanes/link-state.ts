import { transitions } from '../../../common/transitions.js';

/**
 * idle: not needed. dialing: the first attempt, or one after a failure. up. replacing: was up a moment ago, and another
 * lane is being dialed to take its place. down: the next attempt is scheduled. refused: the server has never worked and
 * refuses this client; a later request may try again. closed: for good.
 */
export type LinkState = 'idle' | 'dialing' | 'up' | 'replacing' | 'down' | 'refused' | 'closed';

/**
 * connect: the server has answered. retry: the lane was lost or the attempt failed, and another follows. refuse: none
 * follows. rest: no lane is needed any more.
 */
export type LinkEvent = 'dial' | 'connect' | 'replace' | 'retry' | 'refuse' | 'rest' | 'close';

export const nextLinkState = transitions<LinkState, LinkEvent>('a link', {
  idle: { dial: 'dialing', rest: 'idle', close: 'closed' },
  dialing: { connect: 'up', retry: 'down', refuse: 'refused', rest: 'idle', close: 'closed' },
  up: { replace: 'replacing', retry: 'down', refuse: 'refused', rest: 'idle', close: 'closed' },
  replacing: { connect: 'up', retry: 'down', refuse: 'refused', rest: 'idle', close: 'closed' },
  down: { dial: 'dialing', rest: 'idle', close: 'closed' },
  refused: { dial: 'dialing', rest: 'idle', close: 'closed' },
  closed: {},
});
