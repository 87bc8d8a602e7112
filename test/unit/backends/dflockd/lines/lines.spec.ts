import { beforeEach, describe, expect, it } from '@jest/globals';
import { Lines } from '../../../../../lib/backends/dflockd/lines/lines.js';
import { ShuttingDownError } from '../../../../../lib/common/errors.js';
import type { Limit } from '../../../../../lib/protocol/messages.js';
import { FakeCaller } from '../support/fake-lane.js';
import { FakeLinePool } from '../support/fake-line-pool.js';

const resource = (limit: Limit = 1, key = 'k') => ({ kind: limit === 1 ? 'lock' : 'sem', key, limit }) as const;

describe('all lines', () => {
  let pool: FakeLinePool;
  let lines: Lines;
  let degraded: string[];
  beforeEach(() => {
    degraded = [];
    pool = new FakeLinePool();
    lines = new Lines(pool, (detail) => degraded.push(detail));
  });

  it('are found by kind, limit and key as long as they last', () => {
    expect(lines.find(resource())).toBeUndefined();
    const made = lines.findOrMake(resource());
    expect(made.state).toBe('pausing');
    expect([lines.find(resource()) === made, lines.findOrMake(resource()) === made, lines.size]).toEqual([
      true,
      true,
      1,
    ]);
    for (const other of [resource(1, 'l'), resource(2), { ...resource(), kind: 'sem' } as const]) {
      expect(lines.find(other)).toBeUndefined();
    }
    const caller = new FakeCaller();
    made.join(caller);
    made.leave(caller);
    expect([lines.size, lines.find(resource())]).toEqual([0, undefined]);
    expect(lines.findOrMake(resource(), 'trying').state).toBe('trying');
  });

  it('that poll are counted, said once to be so, and get the spare lanes by age', () => {
    pool.spare = 0;
    const [a, b] = ['a', 'b'].map((key) => lines.findOrMake(resource(1, key)));
    a!.join(new FakeCaller());
    expect(degraded).toEqual([
      'all 5 wait lanes are in use: who waits for a further key asks again and again (option remote.maxWaitLanes)',
    ]);
    b!.join(new FakeCaller());
    expect([lines.polling, degraded.length]).toEqual([2, 1]);
    pool.spare = 1;
    lines.spare();
    expect([a!.state, b!.state, lines.polling]).toEqual(['queued', 'polling', 1]);
    pool.spare = 2;
    lines.spare();
    expect([b!.state, lines.polling]).toEqual(['queued', 0]);
  });

  it('that poll get as many lanes as are spare', () => {
    pool.spare = 0;
    for (const key of ['a', 'b', 'c']) lines.findOrMake(resource(1, key)).join(new FakeCaller());
    pool.spare = 2;
    lines.spare();
    expect(lines.polling).toBe(1);
  });

  it('are not all asked when there is no lane for the first', () => {
    pool.spare = 0;
    for (const key of ['a', 'b']) lines.findOrMake(resource(1, key)).join(new FakeCaller());
    let looks = 0;
    pool.wait = () => void looks++;
    lines.spare();
    expect(looks).toBe(1);
  });

  it('fail together', () => {
    const callers = ['a', 'b'].map((key) => {
      const caller = new FakeCaller();
      lines.findOrMake(resource(1, key)).join(caller);
      return caller;
    });
    const error = new ShuttingDownError();
    lines.fail(error);
    expect(callers.map(({ errors }) => errors)).toEqual([[error], [error]]);
    expect(lines.size).toBe(0);
  });
});
