import { describe, expect, it } from '@jest/globals';
import type { LocalWaiter } from '../../../../lib/backends/dflockd/queues/local-waiter.js';
import { LocalWaiters } from '../../../../lib/backends/queues/local-waiters.js';

const waiter = (deadline: number, log: number[] = []): LocalWaiter => ({
  deadline,
  leaseMs: 0,
  prev: undefined,
  next: undefined,
  handover: undefined,
  autoRenew: false,
  arrival: 0,
  queued: () => log.push(deadline),
  granted: () => undefined,
  failed: () => undefined,
});

describe('a queue of waiters', () => {
  it('knows the deadline of the most patient one, whoever goes', () => {
    const queue = new LocalWaiters<LocalWaiter>();
    const [a, b, c] = [waiter(30), waiter(50), waiter(40)];
    for (const one of [a, b, c]) queue.push(one);
    expect(queue.lastDeadline()).toBe(50);
    queue.remove(b);
    expect(queue.lastDeadline()).toBe(40);
    queue.remove(a);
    queue.putBack(waiter(60));
    expect(queue.lastDeadline()).toBe(60);
    expect([...queue].map(({ deadline }) => deadline)).toEqual([60, 40]);
    expect(queue.head!.deadline).toBe(60);
  });

  it.each([[[0, 1, 2]], [[2, 1, 0]], [[1, 2, 0]]])(
    'puts those back where they were, in whatever order: %j',
    (order) => {
      const queue = new LocalWaiters<LocalWaiter>();
      const waiters = [1, 2, 3, 4].map((deadline) => waiter(deadline));
      for (const one of waiters) queue.push(one);
      for (const one of waiters.slice(0, 3)) queue.remove(one);
      for (const i of order) queue.putBack(waiters[i]!);
      expect([...queue].map(({ deadline }) => deadline)).toEqual([1, 2, 3, 4]);
    },
  );

  it.each(['push', 'putBack'] as const)(
    'knows it too when somebody joins by %s after the most patient one has gone',
    (how) => {
      const queue = new LocalWaiters<LocalWaiter>();
      const gone = waiter(50);
      queue.push(gone);
      queue.remove(gone);
      queue[how](waiter(30));
      expect(queue.lastDeadline()).toBe(30);
    },
  );

  it('tells the first ones', () => {
    const queue = new LocalWaiters<LocalWaiter>();
    const log: number[] = [];
    for (const deadline of [1, 2, 3]) queue.push(waiter(deadline, log));
    queue.announce(2);
    expect(log).toEqual([1, 2]);
  });
});
