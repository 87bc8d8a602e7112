import { afterEach, describe, expect, it } from '@jest/globals';
import { config } from 'rxjs';
import { EventHub } from '../../../../lib/locks/events/event-hub.js';

afterEach(() => {
  config.onUnhandledError = null;
});

describe('an event hub', () => {
  it('is hot and knows whether anybody listens', () => {
    const hub = new EventHub<number>();
    const got: number[] = [];
    expect(hub.observed).toBe(false);
    hub.emit(1);
    const subscription = hub.stream.subscribe((n) => got.push(n));
    expect(hub.observed).toBe(true);
    hub.emit(2);
    subscription.unsubscribe();
    hub.emit(3);
    expect(got).toEqual([2]);
    expect(hub.observed).toBe(false);
  });

  it('keeps a subscriber that throws from the others', async () => {
    const reported: unknown[] = [];
    config.onUnhandledError = (error) => reported.push(error);
    const hub = new EventHub<number>();
    const got: number[] = [];
    hub.stream.subscribe(() => {
      throw new Error('mine');
    });
    hub.stream.subscribe((n) => got.push(n));
    hub.emit(1);
    hub.emit(2);
    expect(got).toEqual([1, 2]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(reported).toHaveLength(2);
  });

  it('lets subscribers come and go while they are told', () => {
    const hub = new EventHub<number>();
    const got: string[] = [];
    const first = hub.stream.subscribe((n) => {
      got.push(`a${n}`);
      first.unsubscribe();
      hub.stream.subscribe((m) => got.push(`b${m}`));
    });
    hub.emit(1);
    hub.emit(2);
    expect(got).toEqual(['a1', 'b2']);
  });

  it('completes once and for all', () => {
    const hub = new EventHub<number>();
    let completed = 0;
    hub.stream.subscribe({ complete: () => completed++ });
    hub.close();
    hub.emit(1);
    hub.stream.subscribe({ complete: () => completed++ });
    expect(completed).toBe(2);
  });
});
