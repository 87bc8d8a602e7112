import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LockNotice } from '../../../lib/locks/events/events.js';
import { eventLogger } from '../../../lib/nest/event.logger.js';
import { FakeClock, settlePromises } from '../../support/fake-clock.js';

let clock: FakeClock;
let lines: string[];
let log: ReturnType<typeof eventLogger>;
beforeEach(() => {
  clock = new FakeClock();
  lines = [];
  log = eventLogger((level, message) => lines.push(`${level} ${message}`), clock);
});

type Lost = Extract<LockNotice, { type: 'lost' }>;
const lost = (key: string, more: Partial<Lost> = {}): Lost => ({
  type: 'lost',
  keys: [key],
  grants: [],
  reason: 'disconnected',
  heldMs: 12.3,
  server: 'a:1',
  at: clock.wall(),
  ...more,
});

describe('the log of lost locks', () => {
  it('has one line for a thousand that are lost at once', async () => {
    for (let i = 0; i < 1000; i++) log.next(lost(`k${i}`));
    await settlePromises();
    expect(lines).toEqual(['error 1000 locks lost: k0, k1, k2 and 997 more (disconnected), server a:1']);
    await clock.advanceAsync(60_000);
    expect(lines).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('has a line of its own for each that is rare', async () => {
    log.next(lost('a'));
    await settlePromises();
    await clock.advanceAsync(1000);
    log.next(lost('b', { reason: 'expired', heldMs: 7 }));
    await settlePromises();
    expect(lines).toEqual([
      'error lock lost: a (disconnected) after 12 ms, server a:1',
      'error lock lost: b (expired) after 7 ms, server a:1',
    ]);
  });

  it('has one line a second while losses go on', async () => {
    for (let i = 0; i < 100; i++) {
      log.next(lost(`k${i}`, { reason: i % 2 ? 'expired' : 'disconnected', server: i % 3 ? 'a:1' : 'b:1' }));
      await clock.advanceAsync(30);
    }
    await clock.advanceAsync(1000);
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe('error lock lost: k0 (disconnected) after 12 ms, server b:1');
    const counted = lines.slice(1).map((line) => Number(/(\d+) locks lost/.exec(line)![1]));
    expect(counted.reduce((a, b) => a + b)).toBe(99);
    expect(lines[1]).toMatch(
      /^error \d+ locks lost: k1, k2, k3 and \d+ more \(expired \d+, disconnected \d+\), servers a:1, b:1$/,
    );
  });

  it('counts locks of several keys by their keys', async () => {
    const keys = Array.from({ length: 64 }, (_, i) => `k${i}`);
    log.next(lost('', { keys }));
    await settlePromises();
    expect(lines).toEqual(['error lock lost: k0, k1, k2 and 61 more (disconnected) after 12 ms, server a:1']);
  });

  it('has short lines for long keys', async () => {
    const key = 'x'.repeat(1_000_000);
    for (let i = 0; i < 2; i++) {
      log.next(lost(key));
      log.next(lost(key));
      await clock.advanceAsync(2000);
    }
    log.next({ type: 'skipped', keys: [key], at: 0 });
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line.length).toBeLessThan(600);
  });

  it('has what it was told when the streams end', async () => {
    log.next(lost('a'));
    log.complete();
    expect(lines).toEqual(['error lock lost: a (disconnected) after 12 ms, server a:1']);
    log.complete();
    await settlePromises();
    await clock.advanceAsync(5000);
    expect(lines).toHaveLength(1);
  });
});
