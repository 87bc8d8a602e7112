import { describe, expect, it } from '@jest/globals';
import { SharedStats } from '../../../../lib/backends/dflockd/shared-stats.js';
import { Deferred } from '../../../../lib/common/deferred.js';
import type { ServerStats } from '../../../../lib/protocol/server-stats.js';
import { settlePromises } from '../../../support/fake-clock.js';

const statsOf = (connections: number) => ({ connections }) as ServerStats;

describe('reads of one server', () => {
  const asked: Deferred<ServerStats>[] = [];
  const make = () => {
    asked.length = 0;
    return new SharedStats(() => asked[asked.push(new Deferred<ServerStats>()) - 1]!.promise);
  };

  it('share one request, where they come together', async () => {
    const shared = make();
    const reads = Promise.all([shared.read(), shared.read(), shared.read()]);
    await settlePromises();
    expect(asked).toHaveLength(1);
    asked[0]!.resolve(statsOf(1));
    expect((await reads).map(({ connections }) => connections)).toEqual([1, 1, 1]);
  });

  it('get no answer to a request that was sent before they came, and one request is under way at a time', async () => {
    const shared = make();
    const first = shared.read();
    await settlePromises();
    const later = Promise.all([shared.read(), shared.read()]);
    await settlePromises();
    expect(asked).toHaveLength(1);
    asked[0]!.resolve(statsOf(1));
    expect((await first).connections).toBe(1);
    await settlePromises();
    expect(asked).toHaveLength(2);
    asked[1]!.resolve(statsOf(2));
    expect((await later).map(({ connections }) => connections)).toEqual([2, 2]);
  });

  it('go on after one that failed', async () => {
    const shared = make();
    const first = shared.read();
    await settlePromises();
    const second = shared.read();
    asked[0]!.reject(new Error('away'));
    await expect(first).rejects.toThrow('away');
    await settlePromises();
    asked[1]!.resolve(statsOf(2));
    expect((await second).connections).toBe(2);
  });
});
