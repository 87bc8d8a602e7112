/**
 * idle: nobody waits. trying: a try is under way. held: a caller of this process has the lock, and it will be handed on. queued: there are
 * places in the server's queue, or on their way there. polling: there is no session for a place, so tries are sent from time to time.
 * pausing: something failed, or there is no connection. Assigned in place, because there is one for each lock; what leads to each of
 * them is `adjust`.
 */
export type QueueState = 'idle' | 'trying' | 'held' | 'queued' | 'polling' | 'pausing';
