import { describe, expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { eitherSignal, whenAborted } from '../../../lib/common/abort.js';

const listenersOf = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

describe('those who wait under a signal', () => {
  it('share one listener, which goes with the last of them', () => {
    const { signal } = new AbortController();
    const stops = Array.from({ length: 1000 }, () => whenAborted(signal, () => undefined));
    expect(listenersOf(signal)).toBe(1);
    stops.slice(1).forEach((stop) => stop());
    expect(listenersOf(signal)).toBe(1);
    stops[0]!();
    stops[0]!();
    expect(listenersOf(signal)).toBe(0);
    whenAborted(signal, () => undefined);
    stops[0]!();
    expect(listenersOf(signal)).toBe(1);
  });

  it('are told once, in the order in which they came, but for those who have gone', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const told: string[] = [];
    const note = (): void => void told.push('same');
    whenAborted(signal, note);
    whenAborted(signal, note);
    whenAborted(signal, () => {
      told.push('first');
      stop();
    });
    const stop = whenAborted(signal, () => told.push('gone'));
    whenAborted(signal, () => told.push('last'));
    controller.abort();
    expect(told).toEqual(['same', 'same', 'first', 'last']);
    expect(listenersOf(signal)).toBe(0);
  });
});

describe('two signals as one', () => {
  it.each([0, 1])('abort with the reason of number %d', (which) => {
    const pair = [new AbortController(), new AbortController()] as const;
    const { signal } = eitherSignal(pair[0].signal, pair[1].signal);
    expect(signal.aborted).toBe(false);
    pair[which]!.abort('why');
    pair[1 - which]!.abort('too late');
    expect(signal.reason).toBe('why');
  });

  it('may have aborted before', () => {
    expect(eitherSignal(new AbortController().signal, AbortSignal.abort('before')).signal.reason).toBe('before');
  });

  it('leave nothing behind when they are forgotten', () => {
    const pair = [new AbortController(), new AbortController()] as const;
    const both = eitherSignal(pair[0].signal, pair[1].signal);
    both.forget();
    expect(pair.map(({ signal }) => listenersOf(signal))).toEqual([0, 0]);
    pair[0].abort();
    expect(both.signal.aborted).toBe(false);
  });
});
