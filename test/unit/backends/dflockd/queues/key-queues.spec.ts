import { beforeEach, describe, expect, it } from '@jest/globals';
import { KeyQueues } from '../../../../../lib/backends/dflockd/queues/key-queues.js';
import { ShuttingDownError } from '../../../../../lib/common/errors.js';
import type { Limit } from '../../../../../lib/protocol/messages.js';
import { FakeWaiter } from '../support/fake-lane.js';
import { FakeQueuePool } from '../support/fake-queue-pool.js';

const resource = (limit: Limit = 1, key = 'k') => ({ kind: limit === 1 ? 'lock' : 'sem', key, limit }) as const;

describe('all key queues', () => {
  let pool: FakeQueuePool;
  let queues: KeyQueues;
  let degraded: string[];
  beforeEach(() => {
    degraded = [];
    pool = new FakeQueuePool();
    queues = new KeyQueues(pool, (detail) => degraded.push(detail));
  });

  it('are found by kind, limit and key as long as they last', () => {
    expect(queues.find(resource())).toBeUndefined();
    const made = queues.findOrMake(resource());
    expect(made.state).toBe('pausing');
    expect([queues.find(resource()) === made, queues.findOrMake(resource()) === made, queues.size]).toEqual([
      true,
      true,
      1,
    ]);
    for (const other of [resource(1, 'l'), resource(2), { ...resource(), kind: 'sem' } as const]) {
      expect(queues.find(other)).toBeUndefined();
    }
    const waiter = new FakeWaiter();
    made.join(waiter);
    made.leave(waiter);
    expect([queues.size, queues.find(resource())]).toEqual([0, undefined]);
    expect(queues.findOrMake(resource(), 'trying').state).toBe('trying');
  });

  it('that poll are counted, said once to be so, and get the spare lanes by age', () => {
    pool.spare = 0;
    const [a, b] = ['a', 'b'].map((key) => queues.findOrMake(resource(1, key)));
    a!.join(new FakeWaiter());
    expect(degraded).toEqual([
      'all 5 wait lanes are in use: callers that wait for further keys poll instead (option remote.maxWaitLanes)',
    ]);
    b!.join(new FakeWaiter());
    expect([queues.polling, degraded.length]).toEqual([2, 1]);
    pool.spare = 1;
    queues.spare();
    expect([a!.state, b!.state, queues.polling]).toEqual(['queued', 'polling', 1]);
    pool.spare = 2;
    queues.spare();
    expect([b!.state, queues.polling]).toEqual(['queued', 0]);
  });

  it('that poll get as many lanes as are spare', () => {
    pool.spare = 0;
    for (const key of ['a', 'b', 'c']) queues.findOrMake(resource(1, key)).join(new FakeWaiter());
    pool.spare = 2;
    queues.spare();
    expect(queues.polling).toBe(1);
  });

  it('are not all asked when there is no lane for the first', () => {
    pool.spare = 0;
    for (const key of ['a', 'b']) queues.findOrMake(resource(1, key)).join(new FakeWaiter());
    let looks = 0;
    pool.wait = () => void looks++;
    queues.spare();
    expect(looks).toBe(1);
  });

  it('fail together', () => {
    const waiters = ['a', 'b'].map((key) => {
      const waiter = new FakeWaiter();
      queues.findOrMake(resource(1, key)).join(waiter);
      return waiter;
    });
    const error = new ShuttingDownError();
    queues.fail(error);
    expect(waiters.map(({ errors }) => errors)).toEqual([[error], [error]]);
    expect(queues.size).toBe(0);
  });
});
