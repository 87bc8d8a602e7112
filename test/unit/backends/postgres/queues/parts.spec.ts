import { beforeEach, describe, expect, it } from '@jest/globals';
import { deadlineError, sharedId } from '../../../../../lib/backends/postgres/queues/deadline-error.js';
import { Holdings } from '../../../../../lib/backends/postgres/queues/holdings.js';
import type { KeyQueue } from '../../../../../lib/backends/postgres/queues/key-queue.js';
import { KeyQueues } from '../../../../../lib/backends/postgres/queues/key-queues.js';
import { QueuePauses } from '../../../../../lib/backends/postgres/queues/queue-pauses.js';
import type { QueueState } from '../../../../../lib/backends/postgres/queues/queue-state.js';
import { type Alarm, Alarms, newAlarm } from '../../../../../lib/common/alarms.js';
import {
  AcquireTimeoutError,
  type LockError,
  LockUnavailableError,
  PoolExhaustedError,
} from '../../../../../lib/common/errors.js';
import { FakeClock, FakeEntropy } from '../../../../support/fake-clock.js';

describe('the pauses of a key queue', () => {
  let clock: FakeClock;
  let alarm: Alarm;
  let rings: number;
  let pauses: QueuePauses;
  const error = new LockUnavailableError('refused');

  beforeEach(() => {
    clock = new FakeClock({ now: 1000 });
    rings = 0;
    alarm = newAlarm(() => rings++);
    const entropy = Object.assign(new FakeEntropy(), { unit: () => 0.5 });
    pauses = new QueuePauses({ clock, entropy, alarms: new Alarms(clock) }, alarm);
  });

  /** Begins a pause, and returns how long it takes. */
  const pause = (): number => {
    pauses.begin();
    const ms = alarm.due - clock.now();
    clock.advance(ms);
    return ms;
  };

  it('grow up to a quarter of a second', () => {
    expect(Array.from({ length: 6 }, pause)).toEqual([18.75, 37.5, 75, 150, 187.5, 187.5]);
    expect(rings).toBe(6);
  });

  it('begin again with a short one after an answer, unless the queue polls', () => {
    pause();
    pause();
    pauses.recover(true);
    expect(pause()).toBe(75);
    pauses.recover(false);
    expect(pause()).toBe(18.75);
  });

  it('allow requests between tries, and none after a failure until they are over', () => {
    pauses.begin();
    expect([pauses.isPausing, pauses.trouble]).toEqual([false, undefined]);
    pauses.recover(false);
    pauses.fail(error);
    expect([pauses.isPausing, pauses.trouble]).toEqual([true, error]);
    clock.stall(18.7);
    expect(pauses.isPausing).toBe(true);
    clock.stall(0.05);
    expect([pauses.isPausing, pauses.trouble]).toEqual([false, error]);
  });

  it('are over at once when the server answers, and with them the trouble', () => {
    pauses.fail(error);
    pauses.recover(false);
    expect([pauses.isPausing, pauses.trouble]).toEqual([false, undefined]);
  });
});

describe('the error at a deadline', () => {
  const outage = new LockUnavailableError('down');
  const trouble = new LockUnavailableError('refused');
  const errorOf = (
    state: QueueState,
    { wasTaken = false, trouble, outage }: { wasTaken?: boolean; trouble?: LockError; outage?: LockError } = {},
  ): LockError => {
    const site = { server: 'db:5432/app', commands: { outage }, waitSessions: { cap: 3 } };
    return deadlineError(site as never, 'k', state, wasTaken, trouble);
  };

  it('of a queue that polls names the option', () => {
    const error = errorOf('polling', { wasTaken: true, trouble, outage });
    expect(error).toBeInstanceOf(PoolExhaustedError);
    expect(error.message).toBe(
      'all 3 wait connections to db:5432/app are in use (option postgresBackend.maxWaitConnections)',
    );
    expect(error).toMatchObject({ key: 'k', server: 'db:5432/app' });
  });

  it('of a queue that tries depends on whether somebody had the lock', () => {
    const error = errorOf('trying');
    expect(error).toBeInstanceOf(LockUnavailableError);
    expect(error).toMatchObject({ message: 'no answer in time', key: 'k', server: 'db:5432/app' });
    expect(errorOf('trying', { wasTaken: true })).toBeInstanceOf(AcquireTimeoutError);
  });

  it('of a queue that pauses says why: the outage, what failed last, or neither', () => {
    expect(errorOf('pausing', { trouble, outage })).toBe(outage);
    expect(errorOf('pausing', { trouble })).toBe(trouble);
    expect(errorOf('pausing')).toBeInstanceOf(AcquireTimeoutError);
  });

  it.each(['idle', 'held', 'queued'] as const)(
    'of a queue that is %s is a timeout, whatever failed before',
    (state) => {
      const error = errorOf(state, { trouble, outage });
      expect(error).toBeInstanceOf(AcquireTimeoutError);
      expect(error).toMatchObject({ key: 'k', server: 'db:5432/app' });
    },
  );
});

it('the error for a key whose id this process has under another key names both, and the server', () => {
  const error = sharedId('k', 'other', 'db:5432/app');
  expect(error).toMatchObject({ key: 'k', server: 'db:5432/app', message: expect.stringContaining('"other"') });
});

describe('what a process has of the database', () => {
  it('is told once when four fifths of its limit are reached, and again after it was less', () => {
    const told: string[] = [];
    const holdings = new Holdings((detail) => told.push(detail));
    holdings.limit = 10;
    for (let i = 0; i < 7; i++) holdings.take();
    expect(told).toEqual([]);
    holdings.take();
    holdings.take();
    expect(told).toEqual([expect.stringMatching(/^this process has 8 locks of the database; at 10, acquires fail/)]);
    expect(told[0]).toContain('max_locks_per_transaction × (max_connections + max_prepared_transactions)');
    holdings.give(4);
    holdings.take(3);
    expect(told).toHaveLength(1);
    holdings.give(4);
    holdings.take();
    holdings.take(3);
    expect([told.length, holdings.count]).toEqual([2, 8]);
  });

  it('is no more than its limit', () => {
    const holdings = new Holdings(() => undefined);
    holdings.limit = 3;
    expect([holdings.take(4), holdings.take(2), holdings.hasRoom]).toEqual([false, true, true]);
    expect([holdings.take(2), holdings.take(), holdings.hasRoom, holdings.take()]).toEqual([false, true, false, false]);
    expect(holdings.count).toBe(3);
  });
});

describe('the key queues', () => {
  class FakeQueue {
    isUnused = false;
  }

  let queues: KeyQueues<KeyQueue>;
  let told: string[];

  beforeEach(() => {
    told = [];
    queues = new KeyQueues((detail) => told.push(detail));
  });

  const add = (name: string, id: bigint | readonly [number, number], isUnused = false): FakeQueue => {
    const queue = Object.assign(new FakeQueue(), { isUnused });
    return queues.add(name, id, () => queue as unknown as KeyQueue);
  };

  it('are found by name, and listed in the order in which they were made', () => {
    const [one, two] = [add('one', 1n), add('two', 2n)];
    expect(queues.find('one')).toBe(one);
    expect(queues.find('two')).toBe(two);
    expect(queues.find('three')).toBeUndefined();
    expect([...queues]).toEqual([one, two]);
  });

  it('are shared by keys of the same id, which is told while the queue is in use', () => {
    const one = add('one', 1n);
    expect(add('two', 1n)).toBe(one);
    expect(queues.find('two')).toBe(one);
    expect([...queues]).toEqual([one]);
    one.isUnused = true;
    add('three', 1n);
    const text = 'have the same lock id, so that they exclude each other (option postgresBackend.lockId)';
    expect(told).toEqual([`the keys "one" and "two" ${text}`]);
  });

  it('are shared by keys of the same two integers', () => {
    const one = add('one', [1, 23]);
    expect(add('two', [1, 23])).toBe(one);
    expect(add('three', [12, 3])).not.toBe(one);
    expect(add('four', 123n)).not.toBe(one);
  });

  it('that are not in use are forgotten once there are ten thousand', () => {
    const used = add('used', 0n);
    for (let i = 1; i < 10_000; i++) add(`key${i}`, BigInt(i), true);
    expect(queues.find('key1')).toBeDefined();
    const last = add('last', 10_000n);
    expect([...queues]).toEqual([used, last]);
    expect([queues.find('key1'), queues.find('used')]).toEqual([undefined, used]);
    // Another queue for the same id.
    expect(add('key1', 1n)).toBe(queues.find('key1'));
  });

  it('are looked through again once there are twice as many as were in use, and not before', () => {
    const used = Array.from({ length: 6000 }, (_, i) => add(`used${i}`, BigInt(i)));
    for (let i = 6000; i < 12_000; i++) add(`key${i}`, BigInt(i), true);
    // Looked through at 10,000; 6,000 stayed, and 2,000 came since.
    for (const one of used) one.isUnused = true;
    for (let i = 12_000; i < 16_000; i++) add(`key${i}`, BigInt(i), true);
    expect(queues.find('used0')).toBe(used[0]);
    add('last', 16_000n);
    expect(queues.find('used0')).toBeUndefined();
    expect([...queues]).toHaveLength(1);
  });
});
