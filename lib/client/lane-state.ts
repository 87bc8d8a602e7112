/**
 * connecting: no socket yet. free: nothing is owned. blocked: one blocking command runs, nothing may follow it. holding:
 * owns grants. suspect: a request has not been answered in time; no new work. closing: takes no new work and ends with
 * its last answer. closed.
 */
export type LaneState = 'connecting' | 'free' | 'blocked' | 'holding' | 'suspect' | 'closing' | 'closed';

/**
 * connected; block, unblock: a blocking command was sent, was answered; count: the number of grants has changed;
 * doubt, trust: an answer is overdue, all overdue ones came; retire: end in good order; end: at once.
 */
export type LaneEvent = 'connected' | 'block' | 'unblock' | 'count' | 'doubt' | 'trust' | 'retire' | 'end';

/** `settled` is holding or free, as the grants say. */
type Next = LaneState | 'settled';

const TABLE: Readonly<Record<LaneState, Readonly<Partial<Record<LaneEvent, Next>>>>> = {
  connecting: { connected: 'free', retire: 'closed', end: 'closed' },
  free: { block: 'blocked', count: 'settled', doubt: 'suspect', retire: 'closing', end: 'closed' },
  blocked: { unblock: 'settled', doubt: 'suspect', retire: 'closing', end: 'closed' },
  holding: { count: 'settled', doubt: 'suspect', retire: 'closing', end: 'closed' },
  suspect: {
    unblock: 'suspect',
    count: 'suspect',
    doubt: 'suspect',
    trust: 'settled',
    retire: 'closing',
    end: 'closed',
  },
  closing: {
    unblock: 'closing',
    count: 'closing',
    doubt: 'closing',
    trust: 'closing',
    retire: 'closing',
    end: 'closed',
  },
  closed: { count: 'closed', retire: 'closed', end: 'closed' },
};

/** The only way from one state to another. What is not in the table is a mistake of the caller. */
export function nextState(state: LaneState, event: LaneEvent, grants: number): LaneState {
  const next = TABLE[state][event];
  if (next === undefined) throw new Error(`a lane that is ${state} cannot "${event}"`);
  if (next === 'settled') return grants > 0 ? 'holding' : 'free';
  return next;
}
