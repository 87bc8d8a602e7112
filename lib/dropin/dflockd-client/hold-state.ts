import { transitions } from '../../common/transitions.js';

/**
 * new. asking: a request that may bring the lock is on its way. queued: it has a place in the queue. held. releasing: the
 * release is on its way. over: the connection is closed.
 */
export type HoldState = 'new' | 'asking' | 'queued' | 'held' | 'releasing' | 'over';

/** queue, hold: the answer was a place in the queue, or the lock. */
export type HoldEvent = 'ask' | 'queue' | 'hold' | 'release' | 'end';

export const nextHoldState = transitions<HoldState, HoldEvent>('a hold', {
  new: { ask: 'asking', release: 'releasing', end: 'over' },
  asking: { queue: 'queued', hold: 'held', release: 'releasing', end: 'over' },
  queued: { ask: 'asking', release: 'releasing', end: 'over' },
  held: { release: 'releasing', end: 'over' },
  releasing: { release: 'releasing', end: 'over' },
  over: {},
});
