import { describe, expect, it } from '@jest/globals';
import type { LocalWaiter } from '../../../../../lib/backends/dflockd/queues/local-waiter.js';
import { Poll } from '../../../../../lib/backends/dflockd/queues/poll.js';
import { type LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { FakeWaiter, FakeLane } from '../support/fake-lane.js';

const resource = { kind: 'lock', key: 'k', limit: 1 } as const;

describe('a key queue that polls', () => {
  let lane: FakeLane;
  let log: unknown[];
  const waiter = new FakeWaiter(7000);

  const make = (limit = 1) => {
    lane = new FakeLane('command');
    log = [];
    const host = {
      resource: { ...resource, limit },
      pool: { server: 'host:6388', command: (): FakeLane['lane'] | undefined => lane.lane },
      state: 'polling' as 'polling' | 'over',
      head: waiter as LocalWaiter | undefined,
      offer: (grant: unknown, askedMs: number) => log.push(['offer', grant, askedMs]),
      again: () => log.push('again'),
      onTransientError: (error: LockError) => log.push(['error', error.code, error.key]),
    };
    return { host, poll: new Poll(host) };
  };

  it('has one try under way, with the lease of the head', () => {
    const { poll } = make();
    poll.try();
    poll.try();
    expect(lane.requests).toEqual([{ t: 'acquire', ...resource, waitMs: 0, leaseMs: 7000 }]);
    lane.answer({ s: 'timeout' });
    expect(log).toEqual(['again']);
    poll.try();
    expect(lane.requests.length).toBe(2);
  });

  it('does not try for nobody, nor without a lane', () => {
    const { host, poll } = make();
    host.head = undefined;
    poll.try();
    host.head = waiter;
    host.pool.command = () => undefined;
    poll.try();
    expect([lane.requests, log]).toEqual([[], ['again']]);
  });

  it('offers what it gets; a lock is then taken', () => {
    const { poll } = make();
    poll.try();
    lane.answer({ s: 'granted', token: 'x', leaseMs: 5000 }, 9);
    expect(log).toEqual([['offer', { lane, token: 'x', leaseMs: 5000, validFrom: 9 }, 7000], 'again']);
    expect(lane.requests.length).toBe(1);
  });

  it('tries at once for the next slot of a semaphore, while it polls', () => {
    const { host, poll } = make(3);
    poll.try();
    lane.answer({ s: 'granted', token: 'x', leaseMs: 5000 });
    expect([log.length, lane.requests.length]).toEqual([1, 2]);
    host.state = 'over';
    lane.answer({ s: 'granted', token: 'y', leaseMs: 5000 });
    expect([log.length, lane.requests.length]).toEqual([2, 2]);
  });

  it('does not ask for more when the offer has ended it', () => {
    const { host, poll } = make();
    host.state = 'over';
    poll.try();
    lane.answer({ s: 'granted', token: 'x', leaseMs: 5000 });
    expect(log.length).toBe(1);
  });

  it.each<[string, Parameters<FakeLane['answer']>[0], unknown]>([
    ['a full queue', { s: 'max_waiters' }, 'again'],
    ['a full server', { s: 'max_locks' }, ['error', 'MAX_LOCKS', 'k']],
    ['a bare error', { s: 'error' }, ['error', 'PROTOCOL', 'k']],
    ['no answer', new LockUnavailableError('late'), ['error', 'UNAVAILABLE', undefined]],
  ])('after %s goes on, or stumbles', (_, answer, outcome) => {
    const { poll } = make();
    poll.try();
    lane.answer(answer);
    expect(log).toEqual([outcome]);
    poll.try();
    expect(lane.requests.length).toBe(2);
  });

  it('names what was asked for in what it tells of a bare error', () => {
    const { host, poll } = make();
    host.onTransientError = ({ message }) => log.push(message);
    poll.try();
    lane.answer({ s: 'error' });
    expect(log).toEqual([expect.stringMatching(/^acquire: /)]);
  });

  it('forgets its try when it stops; a later one is another', () => {
    const { poll } = make();
    poll.stop();
    poll.try();
    poll.stop();
    expect(lane.sent[0]!.done).toBeUndefined();
    poll.try();
    expect(lane.requests.length).toBe(2);
  });

  it('is not kept from trying by a lane that ended in the same turn', () => {
    const { host, poll } = make();
    lane.end(new LockUnavailableError('gone'));
    poll.try();
    expect(log).toEqual([['error', 'UNAVAILABLE', undefined]]);
    const other = new FakeLane('command');
    host.pool.command = () => other.lane;
    poll.try();
    expect(other.requests.length).toBe(1);
  });
});
