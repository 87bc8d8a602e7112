/**
 * connecting: no socket yet. free: nothing is owned. blocked: one blocking command runs, nothing may follow it. holding:
 * owns grants. suspect: an answer is missing, or may not have been one; no new work until the next. draining: its server
 * shuts down; it says nothing more and ends with its last grant (rule 9). closing: takes no new work and ends with its
 * last answer. closed.
 */
export type LaneState = 'connecting' | 'free' | 'blocked' | 'holding' | 'suspect' | 'draining' | 'closing' | 'closed';

/**
 * connected; block, unblock: a blocking command was sent, was answered; count: the number of grants has changed;
 * doubt, trust: an answer is overdue or doubtful, all doubts are settled; drain: the server shuts down; retire: end in
 * good order; end: at once.
 */
export type LaneEvent = 'connected' | 'block' | 'unblock' | 'count' | 'doubt' | 'trust' | 'drain' | 'retire' | 'end';

/** `settled` is holding or free, as the grants say. */
type Next = LaneState | 'settled';

const TABLE: Readonly<Record<LaneState, Readonly<Partial<Record<LaneEvent, Next>>>>> = {
  connecting: { connected: 'free', retire: 'closed', end: 'closed' },
  free: { block: 'blocked', count: 'settled', doubt: 'suspect', drain: 'draining', retire: 'closing', end: 'closed' },
  blocked: { unblock: 'settled', doubt: 'suspect', drain: 'draining', retire: 'closing', end: 'closed' },
  holding: { count: 'settled', doubt: 'suspect', drain: 'draining', retire: 'closing', end: 'closed' },
  suspect: {
    unblock: 'suspect',
    count: 'suspect',
    doubt: 'suspect',
    trust: 'settled',
    drain: 'draining',
    retire: 'closing',
    end: 'closed',
  },
  draining: {
    unblock: 'draining',
    count: 'draining',
    doubt: 'draining',
    trust: 'draining',
    drain: 'draining',
    retire: 'closing',
    end: 'closed',
  },
  closing: {
    unblock: 'closing',
    count: 'closing',
    doubt: 'closing',
    trust: 'closing',
    drain: 'closing',
    retire: 'closing',
    end: 'closed',
  },
  closed: { count: 'closed', drain: 'closed', retire: 'closed', end: 'closed' },
};

/** The only way from one state to another. What is not in the table is a mistake of the caller. */
export function nextState(state: LaneState, event: LaneEvent, grants: number): LaneState {
  const next = TABLE[state][event];
  if (next === undefined) throw new Error(`a lane that is ${state} cannot "${event}"`);
  if (next === 'settled') return grants > 0 ? 'holding' : 'free';
  return next;
}
