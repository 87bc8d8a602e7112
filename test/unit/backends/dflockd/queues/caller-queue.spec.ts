import { describe, expect, it } from '@jest/globals';
import type { Caller } from '../../../../../lib/backends/dflockd/queues/caller.js';
import { CallerQueue } from '../../../../../lib/backends/dflockd/queues/caller-queue.js';

const caller = (deadline: number, log: number[] = []): Caller => ({
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

describe('a queue of callers', () => {
  it('knows the deadline of the most patient one, whoever goes', () => {
    const queue = new CallerQueue();
    const [a, b, c] = [caller(30), caller(50), caller(40)];
    for (const one of [a, b, c]) queue.push(one);
    expect(queue.lastDeadline()).toBe(50);
    queue.remove(b);
    expect(queue.lastDeadline()).toBe(40);
    queue.remove(a);
    queue.putBack(caller(60));
    expect(queue.lastDeadline()).toBe(60);
    expect([...queue].map(({ deadline }) => deadline)).toEqual([60, 40]);
    expect(queue.head!.deadline).toBe(60);
  });

  it.each([[[0, 1, 2]], [[2, 1, 0]], [[1, 2, 0]]])(
    'puts those back where they were, in whatever order: %j',
    (order) => {
      const queue = new CallerQueue();
      const callers = [1, 2, 3, 4].map((deadline) => caller(deadline));
      for (const one of callers) queue.push(one);
      for (const one of callers.slice(0, 3)) queue.remove(one);
      for (const i of order) queue.putBack(callers[i]!);
      expect([...queue].map(({ deadline }) => deadline)).toEqual([1, 2, 3, 4]);
    },
  );

  it.each(['push', 'putBack'] as const)(
    'knows it too when somebody joins by %s after the most patient one has gone',
    (how) => {
      const queue = new CallerQueue();
      const gone = caller(50);
      queue.push(gone);
      queue.remove(gone);
      queue[how](caller(30));
      expect(queue.lastDeadline()).toBe(30);
    },
  );

  it('tells the first ones', () => {
    const queue = new CallerQueue();
    const log: number[] = [];
    for (const deadline of [1, 2, 3]) queue.push(caller(deadline, log));
    queue.announce(2);
    expect(log).toEqual([1, 2]);
  });
});
