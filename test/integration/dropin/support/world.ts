import { afterEach } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import type { DflockdServerOptions } from '../../../../lib/daemon/shared/options.js';
import { DflockdServer } from '../../../../lib/daemon/server.js';
import { selfSigned } from '../../../support/certificates.js';
import { ScriptedServer, type Script } from './scripted-server.js';

/** How to reach a server; what the drop-in's classes take. */
export interface Reach {
  host: string;
  port: number;
  servers: [string, number][];
  tls?: ConnectionOptions;
  auth?: string;
}

const reach = (host: string, port: number): Reach => ({ host, port, servers: [[host, port]] });

/** Things that end with the test. */
export class World {
  private readonly ends: (() => unknown)[] = [];

  later(end: () => unknown): void {
    this.ends.push(end);
  }

  async daemon(options: DflockdServerOptions = {}): Promise<Reach> {
    const server = new DflockdServer({ port: 0, shutdownTimeout: 1, ...options });
    const { host, port } = await server.listen();
    this.later(() => server.close());
    return reach(host, port);
  }

  async secured(): Promise<Reach> {
    const { key, cert } = await selfSigned();
    const folder = mkdtempSync(join(tmpdir(), 'dflockd-'));
    const [tlsKey, tlsCert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    writeFileSync(tlsKey, key);
    writeFileSync(tlsCert, cert);
    try {
      const at = await this.daemon({ tlsKey, tlsCert, authToken: 'très secret' });
      return { ...at, tls: { ca: cert }, auth: 'très secret' };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  async scripted(script?: Script): Promise<ScriptedServer> {
    const server = await ScriptedServer.start(script);
    this.later(() => server.close());
    return server;
  }

  /** Whatever is closed or destroyed at the end. */
  own<T extends { close(): unknown } | { destroy(): unknown }>(thing: T): T {
    this.later(() => ('close' in thing ? thing.close() : thing.destroy()));
    return thing;
  }

  async clear(): Promise<void> {
    for (const end of this.ends.splice(0).reverse()) await end();
  }
}

export function useWorld(): World {
  const world = new World();
  afterEach(() => world.clear());
  return world;
}

/** The places where the drop-in is held to its contract: DFLOCKD_TEST_ADDR=host:port adds a daemon that runs already. */
export const PLACES: [name: string, make: (world: World) => Promise<Reach>][] = [
  ['plain', (world) => world.daemon()],
  ['TLS and auth', (world) => world.secured()],
];
const running = process.env.DFLOCKD_TEST_ADDR;
if (running !== undefined) {
  const cut = running.lastIndexOf(':');
  PLACES.push([running, async () => reach(running.slice(0, cut), Number(running.slice(cut + 1)))]);
}

/** Whether the daemon given by DFLOCKD_TEST_ADDR is of 1.10: no `ping`, no signals, one namespace. */
export const RUNNING_IS_OLD = process.env.DFLOCKD_TEST_LINE === '1.10';

let last = 0;
/** Other tests may use the same daemon. */
export const newKey = (): string => `dropin-${process.pid}-${Date.now()}-${++last}`;
