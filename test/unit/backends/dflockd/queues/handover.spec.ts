import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LocalWaiter } from '../../../../../lib/backends/dflockd/queues/local-waiter.js';
import { Handover, isOtherLease, isSpent, isStale } from '../../../../../lib/backends/dflockd/queues/handover.js';
import { AuthError, type LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { FakeWaiter, FakeLane } from '../support/fake-lane.js';

const resource = { kind: 'lock', key: 'k', limit: 1 } as const;
const release = { t: 'release', kind: 'lock', key: 'k', token: 't' };

describe('a grant is too old to rely on', () => {
  const stale = (
    now: number,
    { proven = Infinity, autoRelease = true, leaseMs = 10_000, readTimeoutMs = 20_000 } = {},
  ) => {
    const lane = new FakeLane();
    lane.proven = proven;
    const context = { clock: { now: () => now }, readTimeoutMs, config: { autoRelease } };
    return isStale(lane.grant({ validFrom: 100, leaseMs }), context);
  };

  it('when less than half of its lease is left', () => {
    expect([stale(5100), stale(5101)]).toEqual([false, true]);
  });

  it('when its connection is sure for less than half of it', () => {
    expect([stale(1000, { proven: 6000 }), stale(1001, { proven: 6000 })]).toEqual([false, true]);
  });

  it('when its connection is sure for less than half of a read timeout that is shorter than the lease', () => {
    const long = { leaseMs: 100_000, readTimeoutMs: 2000, proven: 2000 };
    expect([stale(1000, long), stale(1001, long)]).toEqual([false, true]);
  });

  it('whatever its connection does, where a connection costs nothing, by its lease alone', () => {
    expect(stale(1001, { proven: 0, autoRelease: false })).toBe(false);
    const long = { leaseMs: 100_000, readTimeoutMs: 2000, autoRelease: false };
    expect([stale(50_100, long), stale(50_101, long)]).toEqual([false, true]);
  });
});

it('nothing is sure of a grant once its lease, less the safety margin, or the proof of its connection is over', () => {
  const spent = (now: number, proven: number, autoRelease: boolean) => {
    const lane = new FakeLane();
    lane.proven = proven;
    const context = { clock: { now: () => now }, readTimeoutMs: 20_000, config: { autoRelease } };
    return isSpent(lane.grant({ validFrom: 100, leaseMs: 3000 }), context);
  };
  expect([spent(3039, Infinity, true), spent(3040, Infinity, true)]).toEqual([false, true]);
  expect([spent(999, 1000, true), spent(1000, 1000, true), spent(1000, 1000, false)]).toEqual([false, true, false]);
});

it('a lease is another one when it is another number of seconds on the wire', () => {
  expect(isOtherLease(1001, 2000)).toBe(false);
  expect(isOtherLease(1000, 1001)).toBe(true);
});

describe('a grant that is renewed before it is handed over', () => {
  let lane: FakeLane;
  let waiter: FakeWaiter;
  let told: unknown[];
  let grantsAtReady: number;

  const host = {
    resource,
    ready: (_: Handover, grant: unknown, askedMs: number, to: LocalWaiter | undefined) => {
      grantsAtReady = lane.grants;
      told.push(['ready', grant, askedMs, to]);
    },
    renewFailed: (_: Handover, error: LockError, to: LocalWaiter | undefined, lapsed: boolean) =>
      told.push(['renewFailed', error.code, error.message, to, lapsed]),
  };

  const start = (role: 'wait' | 'command' = 'wait'): Handover => {
    lane = new FakeLane(role);
    const handover = new Handover(host, lane.grant(), waiter, waiter.leaseMs);
    expect(waiter.handover).toBe(handover);
    handover.start();
    return handover;
  };

  beforeEach(() => {
    waiter = new FakeWaiter(7000);
    told = [];
  });

  it('goes to the waiter with its new lease, and does not let go of its lane before', () => {
    start();
    expect(lane.requests).toEqual([{ t: 'renew', kind: 'lock', key: 'k', token: 't', leaseMs: 7000 }]);
    expect(lane.grants).toBe(1);
    lane.answer({ s: 'renewed', leaseMs: 6500 }, 42);
    expect(told).toEqual([['ready', { lane, token: 't', validFrom: 42, leaseMs: 6500 }, 7000, waiter]]);
    expect([grantsAtReady, lane.grants, waiter.handover]).toEqual([1, 0, undefined]);
  });

  it('that is not held any more is no grant; a lane that waited for it ends', () => {
    start();
    lane.answer({ s: 'error' });
    expect(told).toEqual([
      ['renewFailed', 'UNAVAILABLE', 'host:6388: the grant was lost before it was renewed', waiter, true],
    ]);
    expect([lane.grants, lane.ending?.message]).toEqual([0, 'host:6388: given up']);
    expect(lane.requests.length).toBe(1);
  });

  it('that is not held any more costs a shared lane nothing, and there is nothing to release', () => {
    start('command');
    lane.answer({ s: 'error' });
    expect([lane.isEnded, lane.grants, lane.requests.length]).toEqual([false, 0, 1]);
  });

  it('that got no answer is released on a shared lane, in case it is held yet', () => {
    start('command');
    const error = new LockUnavailableError('late');
    lane.answer(error);
    expect(told).toEqual([['renewFailed', 'UNAVAILABLE', 'late', waiter, false]]);
    expect(lane.requests[1]).toEqual(release);
    lane.answer({ s: 'ok' });
    expect([lane.isEnded, lane.grants]).toEqual([false, 0]);
  });

  it('is nobody’s when its waiter has left, who is told nothing', () => {
    start().leave();
    expect(waiter.handover).toBeUndefined();
    lane.answer({ s: 'renewed', leaseMs: 1 });
    expect(told[0]).toEqual(['ready', expect.anything(), 7000, undefined]);
    expect([waiter.grants, waiter.errors]).toEqual([[], []]);
  });

  it('sends its waiter away once, when it is told to', () => {
    const handover = start();
    const error = new AuthError();
    handover.evict(error);
    handover.evict(error);
    expect([waiter.errors, waiter.handover]).toEqual([[error], undefined]);
  });
});
