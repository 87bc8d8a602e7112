import { describe, expect, it } from '@jest/globals';
import type { Ended } from '../../support/compiled-lib.js';
import { endedBy, startDaemon, usePrograms } from '../../support/programs.js';

/** Most of what the processes do is wait: they run at once. */
describe('a process with the drop-in', () => {
  const programs = usePrograms(startDaemon);

  const run = (program: string): Promise<Ended> =>
    programs.run(`
      const { DistributedLock } = await ROOM('dropin/dflockd-client/distributed-lock.js');
      const { SignalConnection } = await ROOM('dropin/dflockd-client/signal-connection.js');
      const { stats } = await ROOM('dropin/dflockd-client/stats.js');
      const at = { host: '127.0.0.1', port: ${programs.server.port} };
      const lock = (key) => new DistributedLock({ key, servers: [[at.host, at.port]], leaseTtlS: 5 });
      ${program}
    `);

  it.concurrent('ends by itself when all is closed', async () => {
    const ended = await run(`
      const [a, b, c] = [lock('a'), lock('a'), lock('c')];
      await a.acquire();
      const waiting = b.acquire().catch((error) => error.name);
      await c.enqueue();
      const signals = await SignalConnection.connect({ ...at, heartbeatIntervalMs: 50 });
      await signals.listen('x');
      await stats(at);
      b.close();
      console.log(await waiting);
      await a.release();
      c.close();
      signals.close();
    `);
    expect(ended).toEqual(endedBy('LockError\n'));
  });

  it.concurrent('is kept alive by its sockets, not by timers', async () => {
    const ended = await run(`
      const [held, queued] = [lock('b'), lock('b')];
      await held.acquire();
      await queued.enqueue();
      const signals = await SignalConnection.connect({ ...at, heartbeatIntervalMs: 50 });
      for (const socket of [held.sock, queued.sock, signals.sock]) socket.unref();
      console.log('done');
    `);
    expect(ended).toEqual(endedBy('done\n'));
  });

  it.concurrent('stays alive while it holds', async () => {
    const ended = await run(`
      const held = lock('d');
      await held.acquire();
      setTimeout(() => {
        console.log(held.token !== null);
        held.close();
      }, 300).unref();
    `);
    expect(ended).toEqual(endedBy('true\n'));
  });

  it.concurrent('answers the calls of a lockd client whose listeners throw, and emits all its events', async () => {
    const ended = await run(`
      const { once } = await import('node:events');
      const lockd = { ...(await ROOM('dropin/lockd/client.js')), ...(await ROOM('dropin/lockd/server.js')) };
      let thrown = 0;
      process.on('uncaughtException', () => thrown++);
      const throwing = (tcp) => {
        const client = lockd.connect({ tcp });
        const events = [];
        for (const name of ['connect', 'error', 'close']) {
          client.on(name, () => {
            events.push(name);
            throw new Error(name);
          });
        }
        return { client, events };
      };
      const server = lockd.listen({ tcp: 0 });
      await once(server, 'ready');
      const { port } = server.address();
      const one = throwing(port);
      console.log(await one.client.get('a'));
      await server.destroy();
      while (!one.events.includes('close')) await new Promise((resolve) => setImmediate(resolve));
      const other = throwing(port);
      console.log(await other.client.get('a').catch(({ code }) => code));
      await other.client.disconnect();
      await new Promise((resolve) => setImmediate(resolve));
      console.log(one.events.join(), other.events.join(), thrown);
    `);
    expect(ended).toEqual(endedBy('1\nUNAVAILABLE\nconnect,close error,close 4\n'));
  });
});
