import { afterEach } from '@jest/globals';
import type { DflockdServerOptions } from '../../../lib/daemon/shared/options.js';
import { DflockdServer, type ServerDependencies } from '../../../lib/daemon/server.js';
import { Wire } from '../../support/wire.js';

/** A daemon on a free port, and the connections to it. */
export class Daemon {
  private readonly wires: Wire[] = [];

  private constructor(
    readonly server: DflockdServer,
    readonly address: { host: string; port: number },
  ) {}

  static async start(options: DflockdServerOptions, deps?: ServerDependencies): Promise<Daemon> {
    const server = new DflockdServer({ port: 0, ...options }, deps);
    return new Daemon(server, await server.listen());
  }

  async open(): Promise<Wire> {
    return this.own(await Wire.tcp(this.address));
  }

  /** A connection in memory, as from `peer`. */
  pair(peer?: string): Wire {
    return this.own(Wire.pair(this.server, peer));
  }

  /** A connection that ends with the daemon. */
  own(wire: Wire): Wire {
    this.wires.push(wire);
    return wire;
  }

  async stop(): Promise<void> {
    for (const wire of this.wires) wire.destroy();
    await this.server.close();
  }
}

/** Starts daemons that are stopped after the test. */
export function useDaemons(): (options?: DflockdServerOptions, deps?: ServerDependencies) => Promise<Daemon> {
  const running: Daemon[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((daemon) => daemon.stop()));
  });
  return async (options = {}, deps) => {
    const daemon = await Daemon.start(options, deps);
    running.push(daemon);
    return daemon;
  };
}

export const GRANT = /^ok [0-9a-f]{32} \d+$/;

/** The token of a grant. */
export function tokenOf(line: string): string {
  const token = /^(?:ok|acquired) ([0-9a-f]{32}) \d+$/.exec(line)?.[1];
  if (token === undefined) throw new Error(`no grant: ${JSON.stringify(line)}`);
  return token;
}

export const acquire = (key: string, waitS = 0): string => `l\n${key}\n${waitS}\n`;
export const release = (key: string, token: string): string => `r\n${key}\n${token}\n`;
export const PING = 'ping\n_\n\n';
export const STATS = 'stats\n_\n\n';

/** What `stats` says. */
export async function statsOf(wire: Wire): Promise<Record<string, any>> {
  return JSON.parse((await wire.ask(STATS)).replace(/^ok /, '')) as Record<string, any>;
}

/** So many turns of the event loop: what is on its way between ends of a pair arrives. */
export async function turns(count = 6): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
