import { describe, expect, it } from '@jest/globals';
import { TryLanes } from '../../../../../lib/backends/dflockd/queues/try-lanes.js';
import { FakeLane } from '../support/fake-lane.js';

describe('tries for a semaphore', () => {
  const semaphore = (key: string, limit = 2) => ({ kind: 'sem', key, limit }) as const;

  it('go where one is under way, until the last of them is over', () => {
    const tries = new TryLanes();
    const { lane } = new FakeLane();
    expect(tries.of(semaphore('s'))).toBeUndefined();
    tries.enter(semaphore('s'), lane);
    tries.enter(semaphore('s'), lane);
    tries.leave(semaphore('s'), lane);
    expect(tries.of(semaphore('s'))).toBe(lane);
    expect([tries.of(semaphore('s', 3)), tries.of(semaphore('t'))]).toEqual([undefined, undefined]);
    tries.leave(semaphore('s'), lane);
    expect(tries.of(semaphore('s'))).toBeUndefined();
    tries.leave(semaphore('s'), lane);
  });

  it('go elsewhere when that lane is of no use any more, and what is left of it does not count', () => {
    const tries = new TryLanes();
    const [old, fresh] = [new FakeLane(), new FakeLane()];
    tries.enter(semaphore('s'), old.lane);
    old.isUsable = false;
    expect(tries.of(semaphore('s'))).toBeUndefined();
    tries.enter(semaphore('s'), fresh.lane);
    tries.leave(semaphore('s'), old.lane);
    expect(tries.of(semaphore('s'))).toBe(fresh.lane);
    tries.leave(semaphore('s'), fresh.lane);
    expect(tries.of(semaphore('s'))).toBeUndefined();
  });
});
