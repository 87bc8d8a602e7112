import { afterAll, beforeAll, expect } from '@jest/globals';
import { DflockdServer } from '../../lib/daemon/server.js';
import { CompiledLib, type Ended } from './compiled-lib.js';
import { Proxy } from './proxy.js';

/** A server in the test's own process, or in another one. */
interface Server {
  readonly port: number;
  stop(): Promise<void>;
}

/** Programs that run in a process each, and the server that they use. */
export interface Programs<S extends Server> {
  readonly server: S;
  /** A port of the server whose answers take a moment: a process might read those that are there at once before it ends. */
  readonly slowPort: number;
  /** See {@link CompiledLib.run}. */
  run(program: string, withinMs?: number): Promise<Ended>;
}

/** How a program ends that has nothing left to do. */
export const endedBy = (out: string): Ended => ({ code: 0, out });

/** How the programs of `awaited-calls.ts` end if nothing that they await lets the process end before it is answered. */
export const ALL_AWAITED = { code: 0, out: expect.stringMatching(/that is all\n$/) };

/** Starts a server before the tests of a suite, for the programs of all of them, and removes everything after them. */
export function usePrograms<S extends Server>(start: () => Promise<S>): Programs<S> {
  let lib: CompiledLib;
  let server: S;
  let proxy: Proxy;

  beforeAll(async () => {
    [lib, server] = await Promise.all([CompiledLib.make(), start()]);
    proxy = await Proxy.to(server.port);
    proxy.delay(5);
  }, 30_000);

  afterAll(async () => {
    await proxy.close();
    await server.stop();
    await lib.remove();
  });

  return {
    get server() {
      return server;
    },
    get slowPort() {
      return Number(proxy.address.split(':')[1]);
    },
    run: (program, withinMs) => lib.run(program, withinMs),
  };
}

/** A daemon that does not wait for holders when it is stopped. */
export async function startDaemon(): Promise<Server> {
  const daemon = new DflockdServer({ port: 0, shutdownTimeout: 0.1 });
  const { port } = await daemon.listen();
  return { port, stop: () => daemon.close() };
}
