import { expect, it } from '@jest/globals';
import { stopwatch } from '../../support/stopwatch.js';
import { World } from './support/world.js';

it('a try that was given up does not stand in the way of the next', async () => {
  const world = await World.open();
  const client = await world.client(undefined, { requestTimeoutMs: 2000 });
  for (let i = 0; i < 50; i++) {
    const stop = new AbortController();
    const first = client.acquire('key', { signal: stop.signal });
    // In the turn of the acquire, and in the one in which its try leaves.
    if (i % 2 === 1) await Promise.resolve();
    stop.abort(new Error('given up'));
    await first.catch(() => undefined);
    const took = stopwatch();
    const lock = await client.acquire('key', { acquireTimeoutS: 3 });
    expect(took()).toBeLessThan(500);
    await lock.release();
  }
  await world.close();
}, 20_000);
