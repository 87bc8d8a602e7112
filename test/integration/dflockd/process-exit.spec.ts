import { describe, expect, it } from '@jest/globals';
import { awaitAll, awaitAllInVain } from '../../support/awaited-calls.js';
import type { Ended } from '../../support/compiled-lib.js';
import { freePort } from '../../support/free-port.mjs';
import { ALL_AWAITED, endedBy, startDaemon, usePrograms } from '../../support/programs.js';

/** Most of what the processes do is wait: some of them run at once. */
describe('a process', () => {
  const programs = usePrograms(startDaemon);

  const run = (program: string): Promise<Ended> =>
    programs.run(`const servers = ['127.0.0.1:${programs.server.port}'];\n${program}`);

  // A client that kept the process alive would do so whatever the others did: they share one.
  it.concurrent.each(['{ servers }', '{ embedded: true }'])(
    'ends by itself with clients that are closed, unused, or idle with a held lock: %s',
    async (options) => {
      const ended = await run(`
        const closed = await LockClient.connect(${options});
        const held = await closed.acquire('exit-a');
        const waiting = closed.acquire('exit-a', { acquireTimeoutS: 5 }).catch((e) => e.code);
        setTimeout(() => held.release(), 50);
        await (await waiting).release();
        await closed.stats();
        await closed.close();

        await LockClient.connect(${options});

        const idle = await LockClient.connect(${options});
        await idle.acquire('exit-b');
        console.log('idle');
      `);
      expect(ended).toEqual(endedBy('idle\n'));
    },
  );

  it.concurrent.each(['{ servers }', '{ embedded: true }'])(
    'ends by itself after acquires that ended at random moments: %s',
    async (options) => {
      const ended = await run(`
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
      expect(ended).toEqual(endedBy('calm\n'));
    },
  );

  it.concurrent.each([
    ['{ servers }', 'ACQUIRE_TIMEOUT'],
    ['{ embedded: true }', 'ACQUIRE_TIMEOUT'],
    ["{ servers: ['127.0.0.1:1'] }", 'UNAVAILABLE'],
  ])('does not end while somebody waits: %s', async (options, end) => {
    const ended = await run(`
      const locks = await LockClient.connect(${options});
      const acquire = (acquireTimeoutS) => locks.acquire('exit-c', { acquireTimeoutS });
      const first = ${end === 'ACQUIRE_TIMEOUT'} && (await acquire(10));
      console.log(await acquire(1).catch((e) => e.code));
    `);
    expect(ended).toEqual(endedBy(`${end}\n`));
  });

  it.concurrent.each(['{ servers }', '{ servers, remote: { autoRelease: false } }', '{ embedded: true }'])(
    'stays alive until what it awaits is answered: %s',
    async (options) => {
      const servers = `const servers = ['127.0.0.1:${programs.slowPort}'];\n`;
      expect(await programs.run(servers + awaitAll(options))).toEqual(ALL_AWAITED);
    },
  );

  it.concurrent('stays alive until it knows that there is no server', async () => {
    expect(await run(awaitAllInVain(`{ servers: ['127.0.0.1:${await freePort()}'] }`))).toEqual(ALL_AWAITED);
  });

  it.concurrent('stays alive while a lock of the drop-in connects and waits, and ends after its release', async () => {
    const { port } = programs.server;
    const ended = await run(`
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
    expect(ended).toEqual(endedBy('true\n'));
  });

  it.concurrent('stays alive while it listens, and no longer', async () => {
    const ended = await run(`
      const locks = await LockClient.connect({ servers });
      const subscription = locks.signals.signal$('exit').subscribe(({ payload }) => {
        console.log(payload);
        clearInterval(emitting);
        subscription.unsubscribe();
      });
      // The subscription may not be there yet. Emitting keeps nothing alive for long.
      const emitting = setInterval(() => locks.signals.emit('exit', 'heard'), 200).unref();
    `);
    expect(ended).toEqual(endedBy('heard\n'));
  });
});
