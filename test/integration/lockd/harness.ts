import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { afterEach } from '@jest/globals';
import {
  type LockdDependencies,
  LockdServer,
  type LockdServerOptions,
} from '../../../lib/daemon/lockd/lockd-server.js';
import { until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';

/** A name that nobody locks. */
const FENCE = 'fence-7f3a';
const FENCE_REPLY = `0 Lock Not Locked: ${FENCE}\n`;

/** A raw client: bytes in, bytes out. */
export class Talker {
  private constructor(
    readonly wire: Wire,
    /** As the server sees it. */
    readonly address: string,
  ) {}

  static async open(address: { host: string; port: number }): Promise<Talker> {
    const wire = await Wire.tcp(address);
    const { localAddress, localPort } = wire.stream as Socket;
    return new Talker(wire, `${localAddress}:${localPort}`);
  }

  /** Exactly what the server answers to these bytes. Sends a fence behind them, which `q` counts. */
  async say(bytes: string): Promise<string> {
    this.wire.send(`${bytes}i ${FENCE}\n`);
    return this.answer();
  }

  /** What has come since, until the fence that was sent is answered. */
  async answer(): Promise<string> {
    const { wire } = this;
    await wire.wait(() => wire.unread.endsWith(FENCE_REPLY) || wire.closed, 10_000);
    const { unread } = wire;
    if (!unread.endsWith(FENCE_REPLY)) throw new Error(`no answer to the fence, but ${JSON.stringify(unread)}`);
    wire.take(Infinity);
    wire.forget();
    return unread.slice(0, -FENCE_REPLY.length);
  }
}

/** Lockd servers of their own, and raw clients, which end after each test. */
export function useLockd() {
  const servers: LockdServer[] = [];
  const talkers: Talker[] = [];
  afterEach(async () => {
    for (const { wire } of talkers.splice(0)) wire.destroy();
    await Promise.all(servers.splice(0).map((server) => server.destroy()));
  });
  return {
    serve: async (options: Partial<LockdServerOptions> = {}, deps?: LockdDependencies): Promise<LockdServer> => {
      const server = new LockdServer({ host: '127.0.0.1', port: 0, dump: true, registry: true, ...options }, deps);
      servers.push(server);
      await server.listen();
      return server;
    },
    open: async (server: { address: { host: string; port: number } | undefined }): Promise<Talker> => {
      const talker = await Talker.open(server.address!);
      talkers.push(talker);
      return talker;
    },
  };
}

/** Until the server has noticed that only so many connections are left. */
export const left = (server: LockdServer, connections: number): Promise<unknown> =>
  until(() => server.connections === connections, `${connections} connections`);

const SOCKETS = '/proc/net/tcp';
/** Only Linux shows the timers of its sockets. */
export const canReadTimers = existsSync(SOCKETS);

/** The time until the kernel asks, on the side of port `here`, whether the other side is still there. */
export async function keepAliveMs(here: number, there: number): Promise<number> {
  const hex = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  // The kernel's number of the timer, and when it ends, in hundredths of a second.
  const timer = (): readonly string[] => {
    const rows = readFileSync(SOCKETS, 'latin1').split('\n');
    const row = rows
      .map((line) => line.trim().split(/\s+/))
      .find(([, a, b]) => a?.endsWith(hex(here)) && b?.endsWith(hex(there)));
    return row![5]!.split(':');
  };
  // Before, the kernel waits for an acknowledgement.
  const [, ends] = await until(() => (timer()[0] === '02' ? timer() : undefined), 'the timer of keepalive');
  return parseInt(ends!, 16) * 10;
}
