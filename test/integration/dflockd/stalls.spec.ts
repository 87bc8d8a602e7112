import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CompiledLib } from '../../support/compiled-lib.js';

let lib: CompiledLib;

beforeAll(async () => {
  lib = await CompiledLib.make();
}, 30_000);

afterAll(() => lib.remove());

describe('a process that stalls', () => {
  it('for longer than its request timeout, twenty times, loses no healthy lock', async () => {
    const port = await lib.daemon({ maxLocks: 10_000 });
    const { code, out } = await lib.run(
      `
      const stall = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const locks = await LockClient.connect({
        servers: ['127.0.0.1:${port}'],
        remote: { requestTimeoutMs: 100, readTimeoutS: 2 },
      });
      const lost = [];
      locks.lockLost$.subscribe((event) => lost.push(event.keys[0] + ' ' + event.reason));
      // Short leases: some renewal is under way at each stall.
      const held = await Promise.all(Array.from({ length: 60 }, (_, i) => locks.acquire('key-' + i, { leaseTtlS: 2 + (i % 3) })));
      const waited = [];
      for (let i = 0; i < 4; i++) {
        const waiting = locks.acquire('key-' + i, { leaseTtlS: 2 });
        await pause(5);
        await held[i].release();
        waited.push(await waiting);
      }
      for (let i = 0; i < 20; i++) {
        // In the turn in which a request was sent, and in others.
        if (i % 2) void held[10 + i].renew().catch((error) => lost.push(error.message));
        else await pause(Math.random() * 60);
        stall(300);
        await pause(40);
      }
      const all = [...held.slice(4), ...waited];
      console.log(JSON.stringify({ lost, held: all.filter((lock) => lock.isHeld).length }));
      await locks.close();
    `,
      35_000,
    );
    expect(out).toBe('{"lost":[],"held":60}\n');
    expect(code).toBe(0);
  }, 40_000);
});
