import { transitions } from '../../../common/transitions.js';

/**
 * idle: nobody wants it. dialing: the first attempt, or one after a failure. up. replacing: it was up a moment ago, and
 * another lane is dialed to take its place. down: the next attempt comes by itself. refused: the server has never worked
 * and says no; whoever asks again later may try again. closed: for ever.
 */
export type LinkState = 'idle' | 'dialing' | 'up' | 'replacing' | 'down' | 'refused' | 'closed';

/**
 * connect: the server has answered. retry: the lane is lost, or the attempt has failed, and another follows. refuse: none
 * follows. rest: nobody wants a lane any more.
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
