import { describe, expect, it } from '@jest/globals';
import { type LaneEvent, type LaneState, nextState } from '../../../../../lib/backends/dflockd/lanes/lane-state.js';

const walk = (events: readonly (LaneEvent | [LaneEvent, number])[]): LaneState => {
  let state: LaneState = 'connecting';
  for (const step of events) {
    const [event, grants] = Array.isArray(step) ? step : [step, 0];
    state = nextState(state, event, grants);
  }
  return state;
};

describe('the states of a lane', () => {
  it.each<[string, (LaneEvent | [LaneEvent, number])[], LaneState]>([
    ['a connected lane is free', ['connected'], 'free'],
    ['a grant makes it holding', ['connected', ['count', 1]], 'holding'],
    ['the last release makes it free', ['connected', ['count', 1], ['count', 0]], 'free'],
    ['a blocking request blocks it', ['connected', 'block'], 'blocked'],
    ['its answer frees it', ['connected', 'block', 'unblock'], 'free'],
    ['doubt keeps it suspect whatever it owns', ['connected', ['count', 2], 'doubt', ['count', 1]], 'suspect'],
    ['trust brings it back to what it owns', ['connected', ['count', 1], 'doubt', ['trust', 1]], 'holding'],
    ['retired while connecting it is closed', ['retire'], 'closed'],
    ['retired later it is closing', ['connected', 'retire'], 'closing'],
    ['a closing lane takes answers', ['connected', 'block', 'retire', 'unblock', ['count', 1]], 'closing'],
    ['a draining lane stays so whatever it owns', ['connected', ['count', 1], 'drain', ['count', 0]], 'draining'],
    ['a blocked lane may be draining', ['connected', 'block', 'drain', 'unblock'], 'draining'],
    ['the end is final', ['connected', 'end', ['count', 1], 'end', 'retire'], 'closed'],
  ])('%s', (_, events, state) => {
    expect(walk(events)).toBe(state);
  });

  it.each<[LaneEvent[]]>([
    [['block']],
    [['connected', 'connected']],
    [['connected', 'block', 'block']],
    [['connected', 'unblock']],
    [['connected', 'end', 'block']],
  ])('refuses %j', (events) => {
    expect(() => walk(events)).toThrow(/cannot/);
  });

  it('refuses a blocking request on a lane that owns grants', () => {
    expect(() => walk(['connected', ['count', 1], 'block'])).toThrow('a lane that is holding cannot "block"');
  });
});
