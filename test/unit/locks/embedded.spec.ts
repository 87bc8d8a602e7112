import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AcquireTimeoutError, LeaseExpiredError } from '../../../lib/common/errors.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { until } from '../../support/until.js';

/** The same rules with nothing faked. */
let client: LockClient;

beforeEach(async () => {
  client = await LockClient.connect({ embedded: true, acquireTimeoutS: 5 });
});

afterEach(() => client.close());

const held = async (): Promise<string[]> => {
  const [stats] = await client.stats();
  return stats!.locks.filter((lock) => lock.lease_expires_in_s > 0).map((lock) => lock.key);
};

describe('on the engine in this process', () => {
  it('several keys are held all or none', async () => {
    const busy = await client.acquire('b');
    expect(await client.tryAcquire(['a', 'b', 'c'])).toBeNull();
    expect(await held()).toEqual(['b']);
    const waiting = client.acquire(['c', 'b', 'a']);
    // After the try of all, what is free is taken as far as the order goes.
    await until(async () => (await held()).sort().join() === 'a,b', 'the first key, and not the last');
    await busy.release();
    const lock = await waiting;
    expect((await held()).sort()).toEqual(['a', 'b', 'c']);
    await expect(client.acquire(['c', 'd'], { acquireTimeoutS: 0.05 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    expect(await lock.release()).toBe(true);
    expect(await held()).toEqual([]);
  });

  it('callers that want the same keys in different orders never wait for each other in a circle', async () => {
    const keys = ['a', 'b', 'c', 'd'];
    let most = 0;
    let inside = 0;
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const wanted = keys.map((_key, j) => keys[(i + j) % 4]!).slice(0, 3);
        await client.withLock(i % 2 ? wanted : wanted.reverse(), async () => {
          most = Math.max(most, ++inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside--;
        });
      }),
    );
    // Of four keys, three: any two have one in common.
    expect(most).toBe(1);
    expect(await held()).toEqual([]);
  });

  it('a lock that is joined is released once, after the last', async () => {
    let part: Promise<boolean> | undefined;
    await client.withLock('a', async (whole) => {
      part = client.withLock('a', { onNested: whole }, async (lock) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return lock.isHeld && (await held()).includes('a');
      });
    });
    expect(await part).toBe(true);
    expect(await held()).toEqual([]);
  });

  it('a lock is kept for its minimum hold, and a lease without renewal lapses', async () => {
    await client.withLock('a', { minHoldS: 0.2 }, () => undefined);
    expect(await client.tryAcquire('a')).toBeNull();
    const short = await client.acquire('b', { leaseTtlS: 0.2, autoRenew: false });
    await Promise.all([client.acquire('a'), client.acquire('b')]);
    expect(short.signal.reason).toMatchObject({ reason: 'expired' });
  });

  it('a ticket keeps its place while nobody waits, and its holder is served in its turn', async () => {
    const first = await client.acquire('a');
    const ticket = client.enqueue('a', { leaseTtlS: 5 });
    expect(await ticket.placed).toBe('queued');
    expect(await ticket.wait(0.02)).toBeNull();
    const later = client.acquire('a');
    await first.release();
    const lock = (await ticket.wait())!;
    expect(lock.isHeld).toBe(true);
    expect(await client.tryAcquire('a')).toBeNull();
    await lock.release();
    await (await later).release();
    expect(await held()).toEqual([]);
  });

  it('a ticket that nobody claims or that is cancelled keeps nobody out', async () => {
    const unclaimed = client.enqueue('a', { leaseTtlS: 0.2 });
    expect(await unclaimed.placed).toBe('acquired');
    const lock = await client.acquire('a');
    await expect(unclaimed.wait()).rejects.toBeInstanceOf(LeaseExpiredError);
    const cancelled = client.enqueue('a');
    await cancelled.placed;
    await cancelled.cancel();
    await lock.release();
    await client.enqueue('b').cancel();
    const granted = client.enqueue('c');
    await granted.placed;
    await granted.cancel();
    expect(await held()).toEqual([]);
  });
});
