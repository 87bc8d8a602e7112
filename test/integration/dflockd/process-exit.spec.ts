import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { awaitAll, awaitAllInVain } from '../../support/awaited-calls.js';
import { CompiledLib, type Ended } from '../../support/compiled-lib.js';
import { freePort } from '../../support/free-port.mjs';
import { Proxy } from '../../support/proxy.js';

let lib: CompiledLib;
let server: DflockdServer;
let port: number;

beforeAll(async () => {
  lib = await CompiledLib.make();
  server = new DflockdServer({ port: 0, shutdownTimeout: 0.1 });
  ({ port } = await server.listen());
}, 30_000);

afterAll(async () => {
  await server.close();
  await lib.remove();
});

const run = (program: string): Promise<Ended> => lib.run(`const servers = ['127.0.0.1:${port}'];\n${program}`);

describe('a process', () => {
  it.each([['{ servers }'], ['{ embedded: true }']])('ends by itself after close(): %s', async (options) => {
    const { code, out } = await run(`
      const locks = await LockClient.connect(${options});
      const held = await locks.acquire('exit-a');
      const waiting = locks.acquire('exit-a', { acquireTimeoutS: 5 }).catch((e) => e.code);
      setTimeout(() => held.release(), 50);
      await (await waiting).release();
      await locks.stats();
      await locks.close();
      console.log('closed');
    `);
    expect(out).toBe('closed\n');
    expect(code).toBe(0);
  });

  it.each([['{ servers }'], ['{ embedded: true }']])(
    'ends by itself with an idle client and a held lock: %s',
    async (options) => {
      const { code, out } = await run(`
      const locks = await LockClient.connect(${options});
      await locks.acquire('exit-b');
      console.log('idle');
    `);
      expect(out).toBe('idle\n');
      expect(code).toBe(0);
    },
  );

  it.each([['{ servers }'], ['{ embedded: true }']])(
    'ends by itself after acquires that ended at random moments: %s',
    async (options) => {
      const { code, out } = await run(`
        const locks = await LockClient.connect(${options});
        const acquire = async (i) => {
          const stop = new AbortController();
          if (i % 2) setTimeout(() => stop.abort(), Math.random() * 40);
          const acquireTimeoutS = i % 3 ? 0.4 : Math.random() * 0.05;
          const lock = await locks.acquire('storm-' + (i % 9), { signal: stop.signal, acquireTimeoutS });
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
          if (i % 7) await lock.release();
        };
        await Promise.allSettled(Array.from({ length: 300 }, (_, i) => acquire(i)));
        await locks.close();
        console.log('calm');
      `);
      expect(out).toBe('calm\n');
      expect(code).toBe(0);
    },
    30_000,
  );

  it('ends by itself with a client that was never used', async () => {
    const { code, out } = await run(`
      await LockClient.connect({ servers });
      console.log('unused');
    `);
    expect(out).toBe('unused\n');
    expect(code).toBe(0);
  });

  it.each([
    ['{ servers }', 'ACQUIRE_TIMEOUT'],
    ['{ embedded: true }', 'ACQUIRE_TIMEOUT'],
    ["{ servers: ['127.0.0.1:1'] }", 'UNAVAILABLE'],
  ])('does not end while somebody waits: %s', async (options, end) => {
    const { code, out } = await run(`
        const locks = await LockClient.connect(${options});
        const acquire = (acquireTimeoutS) => locks.acquire('exit-c', { acquireTimeoutS });
        const first = ${end === 'ACQUIRE_TIMEOUT'} && (await acquire(10));
        console.log(await acquire(1).catch((e) => e.code));
      `);
    expect(out).toBe(`${end}\n`);
    expect(code).toBe(0);
  });

  it('stays alive until what it awaits is answered', async () => {
    // Answers that are there at once would be read before the process ends.
    const proxy = await Proxy.to(port);
    proxy.delay(5);
    const servers = `servers: ['${proxy.address}']`;
    const options = [`{ ${servers} }`, `{ ${servers}, remote: { autoRelease: false } }`, '{ embedded: true }'];
    const ends = await Promise.all(options.map((each) => lib.run(awaitAll(each))));
    await proxy.close();
    const all = { code: 0, out: expect.stringMatching(/that is all\n$/) };
    expect(ends).toEqual([all, all, all]);
  });

  it('stays alive until it knows that there is no server', async () => {
    const { code, out } = await lib.run(awaitAllInVain(`{ servers: ['127.0.0.1:${await freePort()}'] }`));
    expect([out, code]).toEqual([expect.stringMatching(/that is all\n$/), 0]);
  });

  it('stays alive while a lock of the drop-in connects and waits, and ends after its release', async () => {
    const { code, out } = await run(`
      const { DistributedLock } = await ROOM('dropin/dflockd-client/distributed-lock.js');
      const { SignalConnection } = await ROOM('dropin/dflockd-client/signal-connection.js');
      const where = { key: 'exit-drop-in', servers: [['127.0.0.1', ${port}]], leaseTtlS: 600 };
      const [first, second] = [new DistributedLock(where), new DistributedLock(where)];
      await first.acquire();
      setTimeout(() => first.release(), 50);
      console.log(await second.acquire());
      await second.release();
      (await SignalConnection.connect({ port: ${port} })).close();
    `);
    expect([out, code]).toEqual(['true\n', 0]);
  });

  it('stays alive while it listens, and no longer', async () => {
    const { code, out } = await run(`
      const locks = await LockClient.connect({ servers });
      const subscription = locks.signals.signal$('exit').subscribe(({ payload }) => {
        console.log(payload);
        clearInterval(emitting);
        subscription.unsubscribe();
      });
      // The subscription may not be there yet. Emitting keeps nothing alive for long.
      const emitting = setInterval(() => locks.signals.emit('exit', 'heard'), 200).unref();
    `);
    expect([out, code]).toEqual(['heard\n', 0]);
  });
});
