import { transitions } from '../../common/transitions.js';

/**
 * new: nothing was sent. asking: a request for the lock is pending. queued: it has a place in the queue. held: it has
 * the lock. releasing: the release is pending. over: the connection is closed.
 */
export type HoldState = 'new' | 'asking' | 'queued' | 'held' | 'releasing' | 'over';

/** queue: the reply was a place in the queue. hold: the reply was the lock. */
export type HoldEvent = 'ask' | 'queue' | 'hold' | 'release' | 'end';

export const nextHoldState = transitions<HoldState, HoldEvent>('a hold', {
  new: { ask: 'asking', release: 'releasing', end: 'over' },
  asking: { queue: 'queued', hold: 'held', release: 'releasing', end: 'over' },
  queued: { ask: 'asking', release: 'releasing', end: 'over' },
  held: { release: 'releasing', end: 'over' },
  releasing: { release: 'releasing', end: 'over' },
  over: {},
});
