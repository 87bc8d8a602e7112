/**
 * trying: a try is on its way; places are taken when it fails. queued: there are places in the server's queue, or on
 * their way there. polling: there is no lane for a place, so tries are sent now and then. pausing: the last place failed,
 * the next attempt comes soon. over: nobody is left.
 */
export type KeyQueueState = 'trying' | 'queued' | 'polling' | 'pausing' | 'over';

/** tried: the try is answered; placed: there is a lane; denied: there is none; failed: the last place is lost. */
export type KeyQueueEvent = 'tried' | 'placed' | 'denied' | 'failed' | 'emptied';

const TABLE: Readonly<Record<KeyQueueState, Readonly<Partial<Record<KeyQueueEvent, KeyQueueState>>>>> = {
  trying: { tried: 'pausing', emptied: 'over' },
  queued: { placed: 'queued', denied: 'polling', failed: 'pausing', emptied: 'over' },
  polling: { placed: 'queued', denied: 'polling', emptied: 'over' },
  pausing: { placed: 'queued', denied: 'polling', failed: 'pausing', emptied: 'over' },
  over: { emptied: 'over' },
};

/** The only way from one state to another. What is not in the table is a mistake of the caller. */
export function nextKeyQueueState(state: KeyQueueState, event: KeyQueueEvent): KeyQueueState {
  const next = TABLE[state][event];
  if (next === undefined) throw new Error(`a key queue that is ${state} cannot "${event}"`);
  return next;
}
