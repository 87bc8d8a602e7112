import { beforeEach, describe, expect, it } from '@jest/globals';
import { ClientEvents } from '../../../../lib/locks/events/client-events.js';
import type { LockEvent, LockNotice } from '../../../../lib/locks/events/events.js';

let events: ClientEvents;
let told: string[];

beforeEach(() => {
  events = new ClientEvents();
  told = [];
});

const queued = (key: string): LockEvent => ({ type: 'queued', keys: [key], at: 0 });
const skipped = (key: string): LockNotice => ({ type: 'skipped', keys: [key], at: 0 });
const lost: LockNotice = { type: 'lost', keys: ['l'], grants: [], reason: 'expired', heldMs: 0, server: 's', at: 0 };
const listen = (): void => {
  events.events$.subscribe((event) => told.push(`all ${'keys' in event ? event.keys.join() : event.type}`));
};

describe('the streams of a client', () => {
  it('tell what happens to locks in this turn, not in the middle of it, and in order', async () => {
    listen();
    events.emit(queued('a'));
    events.emit(queued('b'));
    expect(told).toEqual([]);
    await Promise.resolve();
    expect(told).toEqual(['all a', 'all b']);
    events.emit(queued('c'));
    await Promise.resolve();
    expect(told).toEqual(['all a', 'all b', 'all c']);
  });

  it('tell what is rare at once, behind what came before', async () => {
    listen();
    events.notices$.subscribe((event) => told.push(`rare ${event.type}`));
    events.lockLost$.subscribe((event) => told.push(`lost ${event.keys.join()}`));
    events.emit(queued('a'));
    events.notice(skipped('b'));
    expect(told).toEqual(['all a', 'rare skipped', 'all b']);
    events.notice(lost);
    expect(told.slice(3)).toEqual(['lost l', 'rare lost', 'all l']);
    await Promise.resolve();
    expect(told).toHaveLength(6);
  });

  it('tell what came before the close, and complete', () => {
    for (const [name, stream] of Object.entries({
      all: events.events$,
      rare: events.notices$,
      lost: events.lockLost$,
    })) {
      stream.subscribe({ next: () => told.push(name), complete: () => told.push(`${name} complete`) });
    }
    events.emit(queued('a'));
    events.close();
    expect(told).toEqual(['all', 'all complete', 'rare complete', 'lost complete']);
  });

  it('are observed by who listens to all events, not by who listens to the rare ones', () => {
    events.notices$.subscribe();
    events.lockLost$.subscribe();
    expect(events.observed).toBe(false);
    const subscription = events.events$.subscribe();
    expect(events.observed).toBe(true);
    subscription.unsubscribe();
    expect(events.observed).toBe(false);
  });
});
