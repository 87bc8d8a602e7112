import { describe, expect, it } from '@jest/globals';
import { type LineEvent, type LineState, nextLineState } from '../../../../../lib/backends/dflockd/lines/line-state.js';
import { nextPlaceState, type PlaceState } from '../../../../../lib/backends/dflockd/lines/place.js';

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

describe('the states of a line', () => {
  it.each<[LineState, LineEvent, LineState]>([
    ['trying', 'tried', 'pausing'],
    ['pausing', 'placed', 'queued'],
    ['queued', 'denied', 'polling'],
    ['polling', 'placed', 'queued'],
    ['queued', 'failed', 'pausing'],
    ['polling', 'emptied', 'over'],
  ])('%s: %s → %s', (from, event, to) => expect(nextLineState(from, event)).toBe(to));

  it('do not lead back', () => {
    expect(() => nextLineState('over', 'placed')).toThrow('a line that is over cannot "placed"');
    expect(() => nextLineState('trying', 'placed')).toThrow(/cannot/);
  });
});
