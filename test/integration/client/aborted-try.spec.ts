// Put into test/integration/client (e.g. into waiting.spec.ts) once D4 of /tmp/defects4.md is mended.
import { it, expect } from '@jest/globals';
import { World } from './support/world.js';
it('an aborted try does not stand in the way', async () => {
  const world = await World.open();
  const client = await world.client(undefined, { requestTimeoutMs: 2000 });
  for (let i = 0; i < 50; i++) {
    const stop = new AbortController();
    const first = client.acquire('key', { signal: stop.signal });
    if (i % 2) await null;
    stop.abort(new Error('x'));
    await first.catch(() => undefined);
    const began = performance.now();
    const lock = await client.acquire('key', { acquireTimeoutS: 3 });
    expect(performance.now() - began).toBeLessThan(500);
    await lock.release();
  }
  await world.close();
}, 20000);
