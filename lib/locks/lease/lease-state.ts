import { impossible, type Transitions } from '../../common/transitions.js';

/** live. ended: released, or given up. lost. */
export type LeaseState = 'live' | 'ended' | 'lost';

const TABLE: Transitions<LeaseState, 'end' | 'lose'> = {
  live: { end: 'ended', lose: 'lost' },
  ended: {},
  lost: {},
};

export const nextLeaseState = (state: LeaseState, event: 'end' | 'lose'): LeaseState =>
  TABLE[state][event] ?? impossible('a lease', state, event);
