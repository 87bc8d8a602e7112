import { transitions } from '../../common/transitions.js';

/** live. ended: released, or given up. lost. */
export type LeaseState = 'live' | 'ended' | 'lost';

export const nextLeaseState = transitions<LeaseState, 'end' | 'lose'>('a lease', {
  live: { end: 'ended', lose: 'lost' },
  ended: {},
  lost: {},
});
