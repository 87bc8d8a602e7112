import { transitions } from '../common/transitions.js';

/** open. closing: nothing new is acquired, and held locks are released. closed. */
export type ClientState = 'open' | 'closing' | 'closed';

export const nextClientState = transitions<ClientState, 'close' | 'end'>('a client', {
  open: { close: 'closing' },
  closing: { end: 'closed' },
  closed: {},
});
