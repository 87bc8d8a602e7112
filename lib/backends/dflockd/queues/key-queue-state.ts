/**
 * trying: a try is on its way; places are taken if it fails. queued: places are in the server's queue, or on their way
 * there. polling: no lane is available for a place, so tries are sent from time to time. pausing: the last place
 * failed, and the next attempt comes soon. over: no waiters are left.
 */
export type KeyQueueState = 'trying' | 'queued' | 'polling' | 'pausing' | 'over';

/** tried: the try was answered. placed: a lane is available. denied: none is. failed: the last place was lost. */
export type KeyQueueEvent = 'tried' | 'placed' | 'denied' | 'failed' | 'emptied';

const TABLE: Readonly<Record<KeyQueueState, Readonly<Partial<Record<KeyQueueEvent, KeyQueueState>>>>> = {
  trying: { tried: 'pausing', emptied: 'over' },
  queued: { placed: 'queued', denied: 'polling', failed: 'pausing', emptied: 'over' },
  polling: { placed: 'queued', denied: 'polling', emptied: 'over' },
  pausing: { placed: 'queued', denied: 'polling', failed: 'pausing', emptied: 'over' },
  over: { emptied: 'over' },
};

/** Makes every transition. One that is not in the table is a bug in the caller. */
export function nextKeyQueueState(state: KeyQueueState, event: KeyQueueEvent): KeyQueueState {
  const next = TABLE[state][event];
  if (next === undefined) throw new Error(`a key queue that is ${state} cannot "${event}"`);
  return next;
}
