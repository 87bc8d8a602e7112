import { describe, expect, it } from '@jest/globals';
import {
  Exchange,
  ExchangeQueue,
  isAmbiguous,
  isBlocking,
  releaseOf,
  waitOf,
} from '../../../../../lib/backends/dflockd/lanes/exchange.js';
import type { Reply, Request } from '../../../../../lib/protocol/messages.js';

const acquire = (waitMs: number): Request => ({ t: 'acquire', kind: 'sem', key: 'k', limit: 3, waitMs, leaseMs: 0 });
const wait = (waitMs: number): Request => ({ t: 'wait', kind: 'sem', key: 'k', waitMs });
const enqueue: Request = { t: 'enqueue', kind: 'lock', key: 'k', limit: 1, leaseMs: 0 };
const renew: Request = { t: 'renew', kind: 'lock', key: 'k', token: 't', leaseMs: 0 };
const release: Request = { t: 'release', kind: 'lock', key: 'k', token: 't' };
const ping: Request = { t: 'ping' };

describe('a request', () => {
  it.each([
    ['a wait in the queue', true, acquire(1)],
    ['a try', false, acquire(0)],
    ['a ticket that waits', true, wait(1)],
    ['a ticket that looks', false, wait(0)],
    ['a new ticket', false, enqueue],
    ['a renewal', false, renew],
    ['a ping', false, ping],
  ])('%s stalls what is behind it: %p', (_, stalls, request) => expect(isBlocking(request)).toBe(stalls));

  it.each([
    ['a wait in the queue', false, acquire(1)],
    ['a try', true, acquire(0)],
    ['a ticket that looks', false, wait(0)],
    ['a renewal', true, renew],
    ['a release', true, release],
    ['a ping', true, ping],
  ])('%s may meet the end of an idle connection instead of its answer: %p', (_, may, request) => {
    expect(isAmbiguous(request)).toBe(may);
  });

  it('that waits does so for whole seconds', () => {
    expect([1, 1000, 1001].map((ms) => waitOf(acquire(ms)))).toEqual([1000, 1000, 2000]);
  });

  const granted: Reply = { s: 'granted', token: 'x', leaseMs: 1 };
  it.each([
    ['acquire', acquire(1)],
    ['wait', wait(1)],
  ])('that nobody waits for any more gives back what it brings: %s', (_, request) => {
    expect(releaseOf(request, granted)).toEqual({ t: 'release', kind: 'sem', key: 'k', token: 'x' });
    expect(releaseOf(request, { s: 'timeout' })).toBeUndefined();
  });

  it('that takes nothing gives nothing back', () => {
    expect(releaseOf(renew, granted)).toBeUndefined();
  });
});

describe('the requests of a lane', () => {
  const exchange = (): Exchange => new Exchange(ping, undefined, 5);

  it('are not overdue before they are sent', () => {
    expect(exchange()).toMatchObject({ sentAt: 0, dueAt: Infinity, late: false, patience: 5 });
  });

  it('are answered in their order', () => {
    const queue = new ExchangeQueue();
    expect(queue.shift()).toBeUndefined();
    expect(queue.size).toBe(0);
    const [a, b, c] = [exchange(), exchange(), exchange()];
    queue.push(a);
    queue.push(b);
    expect([queue.size, queue.head, a.next]).toEqual([2, a, b]);
    expect(queue.shift()).toBe(a);
    expect(a.next).toBeUndefined();
    const late = exchange();
    queue.push(late);
    expect([queue.shift() === b, queue.shift() === late]).toEqual([true, true]);
    expect([queue.size, queue.head]).toEqual([0, undefined]);
    queue.push(c);
    expect([queue.size, queue.head, late.next]).toEqual([1, c, undefined]);
    expect(queue.shift()).toBe(c);
  });
});
