/**
 * connecting: no socket yet. free: owns no grants. blocked: a blocking command is in flight, and nothing may follow it.
 * holding: owns grants. suspect: a reply is missing or doubtful; no new work until the next one. draining: its server
 * shuts down; it sends nothing more and ends with its last grant (rule 9). closing: takes no new work and ends with its
 * last reply. closed.
 */
export type LaneState = 'connecting' | 'free' | 'blocked' | 'holding' | 'suspect' | 'draining' | 'closing' | 'closed';

/**
 * connected. block, unblock: a blocking command was sent, was answered. count: the number of grants has changed. doubt,
 * trust: a reply is overdue or doubtful, all doubts are settled. drain: the server shuts down. retire: end in good
 * order. end: end at once.
 */
export type LaneEvent = 'connected' | 'block' | 'unblock' | 'count' | 'doubt' | 'trust' | 'drain' | 'retire' | 'end';

/** `settled` is `holding` or `free`, depending on the grants. */
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

/** Makes every transition. One that is not in the table is a bug in the caller. */
export function nextState(state: LaneState, event: LaneEvent, grants: number): LaneState {
  const next = TABLE[state][event];
  if (next === undefined) throw new Error(`a lane that is ${state} cannot "${event}"`);
  if (next === 'settled') return grants > 0 ? 'holding' : 'free';
  return next;
}
