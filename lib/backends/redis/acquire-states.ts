/**
 * asked: its request is with Redis, or about to be sent. joining: waits for the subscription to the channel of its queue.
 * queued: has a place in the queue. confirming: has been told that it holds the lock, and asks whether that is still so.
 * paused: asks again later. over: the caller has been answered, or has left.
 */
export type AcquireState = 'asked' | 'joining' | 'queued' | 'confirming' | 'paused' | 'over';

/**
 * What happens to an acquire. granted: certainly holds the lock. placed: is in the queue. busy: is not, for want of the
 * subscription. joined: has the subscription. unsure: was granted, but the lease may be over soon. displaced: was dropped from
 * the queue. rejected: the lock that was to be confirmed is gone. unanswered: nobody knows whether a request was carried out.
 * refused: asking again is pointless. resumed: the pause is over. left: the deadline has passed, or the caller has gone.
 */
export type AcquireEvent =
  | 'granted'
  | 'placed'
  | 'busy'
  | 'joined'
  | 'unsure'
  | 'displaced'
  | 'rejected'
  | 'unanswered'
  | 'refused'
  | 'resumed'
  | 'left';

/** The next state after each event. Events that are not listed change nothing. */
export const TRANSITIONS: Readonly<Record<AcquireState, Readonly<Partial<Record<AcquireEvent, AcquireState>>>>> = {
  asked: {
    granted: 'over',
    placed: 'queued',
    busy: 'joining',
    unanswered: 'paused',
    refused: 'over',
    left: 'over',
  },
  joining: { joined: 'asked', unanswered: 'paused', refused: 'over', left: 'over' },
  queued: { granted: 'over', unsure: 'confirming', displaced: 'asked', refused: 'over', left: 'over' },
  confirming: { granted: 'over', rejected: 'asked', unanswered: 'paused', refused: 'over', left: 'over' },
  // The grant may arrive although the answer to the request was lost.
  paused: { granted: 'over', unsure: 'confirming', resumed: 'asked', refused: 'over', left: 'over' },
  over: {},
};
