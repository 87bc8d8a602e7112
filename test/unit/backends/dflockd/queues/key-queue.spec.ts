import { beforeEach, describe, expect, it } from '@jest/globals';
import { nextTurn } from '../../../../../lib/common/system.js';
import { FakeWaiter, FakeLane } from '../support/fake-lane.js';
import { changes, join, make, pool, queue, TAKE } from '../support/made-key-queue.js';

const granted = { s: 'granted', token: 'x', leaseMs: 10_000 } as const;

beforeEach(() => make('pausing'));

describe('the places of a key queue', () => {
  it('are as many as its waiters, and no more than waitersPerKey', () => {
    join();
    expect(pool.asked.map(({ why }) => why)).toEqual(['head']);
    join();
    join();
    expect(pool.asked.map(({ why }) => why)).toEqual(['head', 'extra']);
    expect(changes).toEqual(['pausing → queued']);
  });

  it('ask for what the head wants, for as long as the most patient one waits', () => {
    join(new FakeWaiter(7000, 3000));
    join(new FakeWaiter(8000, 9000));
    const lane = pool.connect(0);
    expect(lane.requests).toEqual([{ ...TAKE, leaseMs: 7000, waitMs: 8000 }]);
  });

  it.each([
    ['no time', 900, 1],
    ['for ever', Infinity, 9_223_372_036_000],
  ])('ask for what the wire can say: %s', (_, deadline, waitMs) => {
    join(new FakeWaiter(10_000, deadline));
    expect(pool.connect(0).requests).toEqual([{ ...TAKE, waitMs }]);
  });

  it('go when there are more of them than waiters, the last one first', () => {
    const [first, second] = [join(), join()];
    queue.leave(second);
    expect(pool.asked.map(({ cancelled }) => cancelled)).toEqual([false, true]);
    queue.leave(first);
    expect(pool.asked.map(({ cancelled }) => cancelled)).toEqual([true, true]);
    expect([queue.state, changes.at(-1)]).toEqual(['over', 'queued → over']);
    expect(pool.alarms.size).toBe(0);
  });

  it('are announced as far as they have asked; who has none is told at once', () => {
    const waiters = [join(), join(), join()];
    expect(waiters.map(({ queuedCount }) => queuedCount)).toEqual([0, 0, 1]);
    pool.connect(1);
    expect(waiters.map(({ queuedCount }) => queuedCount)).toEqual([1, 0, 1]);
    pool.connect(0);
    expect(waiters.map(({ queuedCount }) => queuedCount)).toEqual([2, 1, 1]);
  });

  it('that come to their time ask again, behind the others', () => {
    join();
    join();
    const [a, b] = [pool.connect(0), pool.connect(1)];
    a.answer({ s: 'timeout' });
    expect(a.requests.length).toBe(2);
    queue.leave(queue.head!);
    expect([a.isEnded, b.isEnded]).toEqual([true, false]);
  });

  it('that come to their time while the last waiter leaves do not ask again', () => {
    pool.spare = 1;
    const [first, second] = [join(), join()];
    const lane = pool.connect(0);
    // Told once more that it is queued, as there is no further lane.
    first.queued = () => {
      queue.leave(first);
      queue.leave(second);
    };
    lane.answer({ s: 'timeout' });
    expect([queue.state, lane.requests.length]).toEqual(['over', 1]);
  });

  it('that come to their time when nobody is left do not ask again', () => {
    const waiter = join();
    const lane = pool.connect(0);
    pool.settings.autoRelease = false;
    queue.leave(waiter);
    lane.answer({ s: 'timeout' });
    expect([lane.requests.length, queue.state]).toEqual([1, 'over']);
  });
});

describe('a grant', () => {
  it('goes to the head, and the place with it', () => {
    const [first, second] = [join(), join()];
    const lane = pool.connect(1);
    lane.answer(granted, 1000);
    expect(first.grants).toEqual([{ lane: lane.lane, token: 'x', leaseMs: 10_000, validFrom: 1000 }]);
    expect(second.grants).toEqual([]);
    expect([queue.head === second, pool.asked.length]).toEqual([true, 2]);
  });

  it('is in the hands of its holder before the next place is asked for', async () => {
    const [first] = [join(), join(), join(), join()];
    const [a, b] = [pool.connect(0), pool.connect(1)];
    a.answer(granted);
    expect([first.grants.length, pool.asked.length]).toEqual([1, 2]);
    b.answer(granted);
    expect(pool.asked.length).toBe(2);
    await nextTurn();
    expect(pool.asked.map(({ cancelled }) => cancelled)).toEqual([false, false, false, false]);
    expect(queue.state).toBe('queued');
  });

  it('asks for no further place if nobody waits at the end of the turn', async () => {
    const callers = [join(), join(), join()];
    pool.connect(0).answer(granted);
    for (const caller of callers.slice(1)) queue.leave(caller);
    await nextTurn();
    expect([pool.asked.length, queue.state]).toEqual([2, 'over']);
  });

  it('ends the key queue with its last waiter', () => {
    join();
    pool.connect(0).answer(granted, 1000);
    expect([queue.state, pool.alarms.size]).toEqual(['over', 0]);
  });

  it('that nobody wants is released', () => {
    join();
    const lane = new FakeLane();
    queue.leave(queue.head!);
    queue.offer(lane.grant({ token: 'y' }), 10_000);
    expect(lane.requests).toEqual([{ t: 'release', kind: 'lock', key: 'k', token: 'y' }]);
    lane.answer({ s: 'ok' });
  });

  it.each([
    ['is old', 10_000, -10_000],
    ['has another lease', 20_000, 1000],
  ])('that %s is renewed first; its waiter keeps the key queue alive', (_, askedMs, validFrom) => {
    const waiter = join();
    const lane = new FakeLane();
    queue.offer(lane.grant({ validFrom }), askedMs);
    expect(lane.requests).toMatchObject([{ t: 'renew', leaseMs: 10_000 }]);
    expect([waiter.grants.length, queue.state, queue.head]).toEqual([0, 'queued', undefined]);
    lane.answer({ s: 'renewed', leaseMs: 10_000 }, 1000);
    expect(waiter.grants.length).toBe(1);
    expect(queue.state).toBe('over');
  });

  it('whose waiter leaves during its renewal goes to the next one', () => {
    const [first, second] = [join(), join()];
    const lane = new FakeLane();
    queue.offer(lane.grant({ validFrom: -10_000 }), 10_000);
    queue.leave(first);
    expect(queue.state).toBe('queued');
    lane.answer({ s: 'renewed', leaseMs: 10_000 }, 1000);
    expect([first.grants.length, second.grants.length, queue.state]).toEqual([0, 1, 'over']);
  });

  it('that is lost during its renewal leaves its waiter at the head, and pauses', () => {
    const [first, second] = [join(), join()];
    const lane = new FakeLane();
    queue.offer(lane.grant({ validFrom: -10_000 }), 10_000);
    expect(queue.head === second).toBe(true);
    lane.answer({ s: 'error' });
    expect(queue.head === first).toBe(true);
    expect(pool.alarms.size).toBe(1);
    queue.leave(first);
    expect(queue.head === second).toBe(true);
  });

  it('goes to the first of those whose grants are being renewed, whose own grant is for those behind', () => {
    const [first, second, third] = [join(), join(), join()];
    const [a, b, c] = [new FakeLane(), new FakeLane(), new FakeLane()];
    queue.offer(a.grant({ token: 'a', validFrom: -10_000 }), 10_000);
    queue.offer(b.grant({ token: 'b', validFrom: -10_000 }), 10_000);
    queue.offer(c.grant({ token: 'c', validFrom: 1000 }), 10_000);
    expect([first, second, third].map(({ grants }) => grants.map(({ token }) => token))).toEqual([['c'], [], []]);
    a.answer({ s: 'renewed', leaseMs: 10_000 }, 1000);
    expect(second.grants.map(({ token }) => token)).toEqual(['a']);
    b.answer({ s: 'renewed', leaseMs: 10_000 }, 1000);
    expect(third.grants.map(({ token }) => token)).toEqual(['b']);
    expect(queue.state).toBe('over');
  });

  it('does not pass somebody whose grant was lost in favour of somebody behind, whose grant is being renewed', () => {
    const [first, second] = [join(), join()];
    const [a, b, c] = [new FakeLane(), new FakeLane(), new FakeLane()];
    queue.offer(a.grant({ validFrom: -10_000 }), 10_000);
    queue.offer(b.grant({ validFrom: -10_000 }), 10_000);
    a.answer({ s: 'error' });
    queue.offer(c.grant({ validFrom: 1000 }), 10_000);
    expect([first.grants.length, second.grants.length]).toEqual([1, 0]);
    b.answer({ s: 'error' });
    expect(queue.head === second).toBe(true);
    queue.leave(second);
  });

  it('whose renewal was answered, but read too late, is renewed once more', () => {
    const waiter = join();
    const lane = new FakeLane();
    queue.offer(lane.grant({ validFrom: -10_000 }), 10_000);
    lane.answer({ s: 'renewed', leaseMs: 10_000 }, -9200);
    expect([waiter.grants.length, lane.requests.length, queue.state]).toEqual([0, 2, 'queued']);
    lane.answer({ s: 'renewed', leaseMs: 10_000 }, 1000);
    expect([waiter.grants.length, queue.state]).toEqual([1, 'over']);
  });

  it('that has another lease goes at once to a waiter who renews it, who is told which one it wants', () => {
    const waiter = new FakeWaiter(10_000);
    waiter.autoRenew = true;
    join(waiter);
    const lane = new FakeLane();
    queue.offer(lane.grant({ leaseMs: 3000, validFrom: 1000 }), 3000);
    expect(waiter.grants).toEqual([{ lane, token: 't', leaseMs: 3000, validFrom: 1000, wantedMs: 10_000 }]);
    expect(lane.requests).toEqual([]);
  });

  it('that is lost during its renewal when its waiter has left ends the key queue', () => {
    const waiter = join();
    const lane = new FakeLane();
    queue.offer(lane.grant({ validFrom: -10_000 }), 10_000);
    queue.leave(waiter);
    lane.answer({ s: 'error' });
    expect([queue.state, queue.head, pool.alarms.size]).toEqual(['over', undefined, 0]);
  });
});

describe('a key queue for which a try is on its way', () => {
  beforeEach(() => {
    make('trying');
  });

  it('takes no place before the try is answered', () => {
    const waiter = join();
    expect([pool.asked.length, waiter.queuedCount]).toEqual([0, 1]);
    queue.tried();
    expect([pool.asked.length, changes]).toEqual([1, ['trying → pausing', 'pausing → queued']]);
    queue.tried();
    expect(changes.length).toBe(2);
  });

  it('ends when the try brings what its only waiter wants', () => {
    const waiter = join();
    queue.offer(new FakeLane('command').grant({ validFrom: 1000 }), 10_000);
    expect([waiter.grants.length, queue.state, pool.asked.length]).toEqual([1, 'over', 0]);
  });

  it('ends when its waiter leaves', () => {
    queue.leave(join());
    expect(queue.state).toBe('over');
  });
});
