import { describe, expect, it } from '@jest/globals';
import { type AcquireEvent, type AcquireState, TRANSITIONS } from '../../../../lib/backends/redis/acquire-states.js';

const EVENTS: readonly AcquireEvent[] = [
  'granted', 'placed', 'busy', 'joined', 'unsure', 'displaced', 'rejected', 'unanswered', 'refused', 'resumed', 'left',
]; // prettier-ignore

/** What each state makes of each event, in the order of EVENTS; `-`: nothing. */
const TABLE: Record<AcquireState, string> = {
  asked: 'over queued joining - - - - paused over - over',
  joining: '- - - asked - - - paused over - over',
  queued: 'over - - - confirming asked - - over - over',
  confirming: 'over - - - - - asked paused over - over',
  paused: 'over - - - confirming - - - over asked over',
  over: '- - - - - - - - - - -',
};

describe('the states of an acquire', () => {
  it.each(Object.keys(TABLE) as AcquireState[])('%s', (state) => {
    const expected = TABLE[state].split(' ');
    expect(EVENTS.map((event) => TRANSITIONS[state][event] ?? '-')).toEqual(expected);
  });

  it('have no way back from the end', () => {
    expect(TRANSITIONS.over).toEqual({});
  });

  it('can all be left, and all be reached from the first', () => {
    const reached = new Set<AcquireState>(['asked']);
    for (const state of reached) for (const next of Object.values(TRANSITIONS[state])) reached.add(next);
    expect([...reached].sort()).toEqual(Object.keys(TABLE).sort());
    for (const state of Object.keys(TABLE) as AcquireState[]) {
      if (state !== 'over') expect(TRANSITIONS[state].left).toBe('over');
    }
  });
});
