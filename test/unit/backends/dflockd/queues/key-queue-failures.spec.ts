import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  AuthError,
  ConfigError,
  LockUnavailableError,
  MaxLocksError,
  ShuttingDownError,
  UnsupportedError,
} from '../../../../../lib/common/errors.js';
import { FakeLane } from '../support/fake-lane.js';
import { join, make, pool, queue, TAKE } from '../support/made-key-queue.js';

/** Pauses are three quarters of their bounds: 25 ms at first, 250 ms at most. */
const PAUSE = 0.75 * 25;

beforeEach(() => make('pausing'));

describe('a key queue in trouble', () => {
  const lose = (at: number): void => pool.asked[at]!.taken(new LockUnavailableError('gone'));

  it('pauses before it takes a place again, longer each time, at most a quarter of a second', () => {
    join();
    for (const bound of [25, 50, 100, 200, 250, 250]) {
      const count = pool.asked.length;
      lose(count - 1);
      expect(queue.state).toBe('pausing');
      pool.clock.advance(0.75 * bound - 0.01);
      queue.retry();
      expect(pool.asked.length).toBe(count);
      pool.clock.advance(0.01);
      expect([pool.asked.length, queue.state]).toEqual([count + 1, 'queued']);
    }
  });

  it('asks a server that refuses without a reason as rarely as it would connect to it: each time costs a connection', () => {
    join();
    for (const bound of [25, 50, 100, 200, 400, 800, 1600, 2000, 2000]) {
      const count = pool.asked.length;
      pool.connect(count - 1).answer({ s: 'error' });
      pool.clock.advance(0.75 * bound - 0.01);
      expect(pool.asked.length).toBe(count);
      pool.clock.advance(0.01);
      expect(pool.asked.length).toBe(count + 1);
    }
  });

  it('asks at once when the server has come back, with short pauses again', () => {
    join();
    for (let i = 0; i < 9; i++) {
      pool.connect(pool.asked.length - 1).answer({ s: 'error' });
      if (i < 8) pool.clock.advance(2000);
    }
    const count = pool.asked.length;
    queue.resume();
    expect(pool.asked.length).toBe(count + 1);
    pool.connect(count).answer({ s: 'error' });
    pool.clock.advance(PAUSE);
    expect(pool.asked.length).toBe(count + 2);
  });

  it('begins with short pauses again once a place was answered', () => {
    join();
    lose(0);
    pool.clock.advance(PAUSE);
    lose(1);
    pool.clock.advance(2 * PAUSE);
    const lane = pool.connect(2);
    lane.answer({ s: 'timeout' });
    lane.answer({ s: 'error' });
    pool.clock.advance(PAUSE);
    expect(pool.asked.length).toBe(4);
  });

  it('takes further places at once again after an answer', () => {
    join();
    lose(0);
    pool.clock.advance(PAUSE);
    pool.connect(1).answer({ s: 'timeout' });
    join();
    expect(pool.asked.length).toBe(3);
  });

  it('stays in the queue with the places that are left', () => {
    join();
    join();
    pool.connect(1);
    lose(0);
    expect(queue.state).toBe('queued');
    expect(pool.asked.length).toBe(2);
    pool.clock.advance(PAUSE);
    expect(pool.asked.length).toBe(3);
  });

  it('goes on after a refusal of its place, and tells of it at the deadline', () => {
    const waiter = join();
    const error = new AuthError({ isTransient: true });
    pool.asked[0]!.taken(error);
    expect([queue.state, waiter.errors, queue.deadlineError('key')]).toEqual(['pausing', [], error]);
    pool.clock.advance(PAUSE);
    expect([pool.asked.length, queue.state]).toEqual([2, 'queued']);
  });

  it('takes no place while there is no server, and one at once when there is', () => {
    join();
    lose(0);
    pool.isLinked = false;
    pool.clock.advance(10 * PAUSE);
    expect([pool.asked.length, queue.state]).toEqual([1, 'pausing']);
    pool.outage = new AuthError();
    expect(queue.deadlineError('key')).toBe(pool.outage);
    pool.isLinked = true;
    queue.retry();
    expect([pool.asked.length, queue.state]).toEqual([2, 'queued']);
  });

  it('sends all away for what time does not heal, those who wait for a renewal too', () => {
    const [first, second] = [join(), join()];
    const lane = new FakeLane();
    queue.offer(lane.grant({ validFrom: -10_000 }), 10_000);
    const error = new UnsupportedError('no');
    pool.asked[0]!.taken(error);
    expect([first.errors, second.errors]).toEqual([[error], [error]]);
    lane.answer({ s: 'renewed', leaseMs: 10_000 });
    expect(lane.requests.at(-1)).toMatchObject({ t: 'release' });
    expect([queue.state, pool.alarms.size, pool.asked[1]!.cancelled]).toEqual(['over', 0, true]);
  });

  it('sends all away when no lane can ever be had', () => {
    const error = new ConfigError('option remote.tls');
    pool.wait = () => {
      throw error;
    };
    expect(join().errors).toEqual([error]);
    expect(queue.state).toBe('over');
  });

  it('says at the deadline: it waited, or what the trouble is', () => {
    join();
    expect(queue.deadlineError('key')).toMatchObject({ code: 'ACQUIRE_TIMEOUT', key: 'key', server: 'host:6388' });
    const error = new LockUnavailableError('gone');
    pool.asked[0]!.taken(error);
    expect(queue.deadlineError('key')).toBe(error);
    pool.clock.advance(PAUSE);
    const lane = pool.connect(1);
    lane.sent[0]!.sentAt = pool.clock.now();
    expect(queue.deadlineError('key')).toBe(error);
    pool.clock.advance(24);
    expect(queue.deadlineError('key')).toBe(error);
    pool.clock.advance(1);
    expect(queue.deadlineError('key').code).toBe('ACQUIRE_TIMEOUT');
  });

  it('forgets its trouble with an answer', () => {
    join();
    lose(0);
    pool.clock.advance(PAUSE);
    const lane = pool.connect(1);
    lane.answer({ s: 'timeout' });
    lane.sent[1]!.sentAt = pool.clock.now();
    expect(queue.deadlineError('key').code).toBe('ACQUIRE_TIMEOUT');
  });

  it('tells of a refusal by its own name', () => {
    join();
    pool.connect(0).answer({ s: 'max_locks' });
    expect(queue.deadlineError('key')).toBeInstanceOf(MaxLocksError);
    expect(queue.deadlineError('key')).toMatchObject({ key: 'k', server: 'host:6388' });
  });

  it('explains a bare error, whose cause names what was asked for', () => {
    join();
    pool.connect(0).answer({ s: 'error' });
    expect(queue.deadlineError('key')).toMatchObject({
      message: 'host:6388: the server answers `error` to acquire requests',
      cause: { message: expect.stringMatching(/^acquire: /) },
    });
  });

  it('does nothing any more once it is over', () => {
    queue.fail(new ShuttingDownError());
    queue.onTransientError(new LockUnavailableError('late'));
    queue.again();
    expect([queue.state, pool.alarms.size]).toEqual(['over', 0]);
  });
});

describe('a key queue without a lane', () => {
  beforeEach(() => {
    pool.spare = 0;
  });

  it('tries over a command lane, at once and after pauses', () => {
    const waiter = join();
    expect([queue.state, waiter.queuedCount > 0]).toEqual(['polling', true]);
    expect(pool.commandLane.requests).toEqual([{ ...TAKE, waitMs: 0 }]);
    pool.commandLane.answer({ s: 'timeout' });
    pool.clock.advance(PAUSE - 0.01);
    expect(pool.commandLane.requests.length).toBe(1);
    pool.clock.advance(0.01);
    expect(pool.commandLane.requests.length).toBe(2);
    expect(queue.deadlineError('key')).toMatchObject({ code: 'POOL_EXHAUSTED', key: 'key' });
  });

  it('takes a place when there is a lane', () => {
    join();
    pool.commandLane.answer({ s: 'timeout' });
    pool.spare = 1;
    queue.retry();
    expect([queue.state, pool.asked.map(({ why }) => why)]).toEqual(['queued', ['head']]);
    pool.clock.advance(1000);
    expect(pool.commandLane.requests.length).toBe(1);
  });

  it('does not try more often because it looks for a lane more often', () => {
    join();
    pool.commandLane.answer({ s: 'timeout' });
    queue.retry();
    join();
    expect(pool.commandLane.requests.length).toBe(1);
  });

  it('goes on after a refusal that may pass', () => {
    const waiter = join();
    pool.commandLane.answer({ s: 'max_locks' });
    expect([queue.state, waiter.errors]).toEqual(['polling', []]);
    pool.clock.advance(PAUSE);
    expect(pool.commandLane.requests.length).toBe(2);
  });

  it('tells those for whom it has no further lane that they are queued', () => {
    pool.spare = 1;
    const [first, second] = [join(), join()];
    expect([first.queuedCount, second.queuedCount > 0, queue.state]).toEqual([1, true, 'queued']);
    expect(pool.commandLane.requests).toEqual([]);
  });

  it('forgets its try when its last waiter leaves', () => {
    const waiter = join();
    queue.leave(waiter);
    expect([pool.commandLane.sent[0]!.done, pool.alarms.size, queue.state]).toEqual([undefined, 0, 'over']);
  });
});
