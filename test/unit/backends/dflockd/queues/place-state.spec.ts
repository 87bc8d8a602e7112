import { describe, expect, it } from '@jest/globals';
import {
  type KeyQueueEvent,
  type KeyQueueState,
  nextKeyQueueState,
} from '../../../../../lib/backends/dflockd/queues/key-queue-state.js';
import { nextPlaceState, type PlaceState } from '../../../../../lib/backends/dflockd/queues/place.js';

describe('the states of a place', () => {
  it.each<[PlaceState, Parameters<typeof nextPlaceState>[1], PlaceState]>([
    ['fetching', 'ask', 'asking'],
    ['asking', 'answer', 'answered'],
    ['answered', 'ask', 'asking'],
    ['answered', 'end', 'over'],
    ['over', 'end', 'over'],
  ])('%s: %s → %s', (from, event, to) => expect(nextPlaceState(from, event)).toBe(to));

  it('do not lead back', () => {
    expect(() => nextPlaceState('over', 'ask')).toThrow('a place that is over cannot "ask"');
    expect(() => nextPlaceState('fetching', 'answer')).toThrow(/cannot/);
  });
});

describe('the states of a key queue', () => {
  it.each<[KeyQueueState, KeyQueueEvent, KeyQueueState]>([
    ['trying', 'tried', 'pausing'],
    ['pausing', 'placed', 'queued'],
    ['queued', 'denied', 'polling'],
    ['polling', 'placed', 'queued'],
    ['queued', 'failed', 'pausing'],
    ['polling', 'emptied', 'over'],
  ])('%s: %s → %s', (from, event, to) => expect(nextKeyQueueState(from, event)).toBe(to));

  it('do not lead back', () => {
    expect(() => nextKeyQueueState('over', 'placed')).toThrow('a key queue that is over cannot "placed"');
    expect(() => nextKeyQueueState('trying', 'placed')).toThrow(/cannot/);
  });
});
