import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { CompiledLib, type Ended } from '../../support/compiled-lib.js';

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

const run = (program: string): Promise<Ended> =>
  lib.run(`
    const { DistributedLock } = await ROOM('dropin/dflockd-client/distributed-lock.js');
    const { SignalConnection } = await ROOM('dropin/dflockd-client/signal-connection.js');
    const { stats } = await ROOM('dropin/dflockd-client/stats.js');
    const at = { host: '127.0.0.1', port: ${port} };
    const lock = (key) => new DistributedLock({ key, servers: [[at.host, at.port]], leaseTtlS: 5 });
    ${program}
  `);

describe('a process with the drop-in', () => {
  it('ends by itself when all is closed', async () => {
    const { code, out } = await run(`
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
    expect(out).toBe('LockError\n');
    expect(code).toBe(0);
  });

  it('is kept alive by its sockets, not by timers', async () => {
    const { code, out } = await run(`
      const [held, queued] = [lock('b'), lock('b')];
      await held.acquire();
      await queued.enqueue();
      const signals = await SignalConnection.connect({ ...at, heartbeatIntervalMs: 50 });
      for (const socket of [held.sock, queued.sock, signals.sock]) socket.unref();
      console.log('done');
    `);
    expect(out).toBe('done\n');
    expect(code).toBe(0);
  });

  it('stays alive while it holds', async () => {
    const { out } = await run(`
      const held = lock('d');
      await held.acquire();
      setTimeout(() => {
        console.log(held.token !== null);
        held.close();
      }, 300).unref();
    `);
    expect(out).toBe('true\n');
  });

  it('answers the calls of a lockd client whose listeners throw, and emits all its events', async () => {
    const { code, out } = await run(`
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
    expect(out).toBe('1\nUNAVAILABLE\nconnect,close error,close 4\n');
    expect(code).toBe(0);
  });
});
