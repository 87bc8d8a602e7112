import cluster from 'node:cluster';
import { lookup } from 'node:dns/promises';
import { connect, createServer, isIP, type AddressInfo, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ConfigError } from '../../common/errors.js';
import { type Clock, type Ms, systemClock } from '../../common/system.js';

export interface ListeningAddress {
  readonly host: string;
  readonly port: number;
}

/** What a test may replace. */
export interface Network {
  /** The addresses that a name resolves to. */
  lookup(host: string): Promise<readonly string[]>;
  /** Rejects with the system error. */
  listen(server: Server, host: string, port: number, ipv6Only: boolean): Promise<void>;
  /** Whether something accepts connections there. */
  isServed(host: string, port: number): Promise<boolean>;
}

const LOOPBACKS = ['127.0.0.1', '::1'];
/** How many ports are tried if any will do and the one chosen is in use on another address. */
const ATTEMPTS = 20;
/** Far more than a connection within one machine takes. */
const PROBE_MS: Ms = 500;

/** A port, open on all addresses of a host. */
export class OpenPort {
  constructor(
    private readonly servers: readonly Server[],
    readonly address: ListeningAddress,
  ) {}

  close(): void {
    for (const server of this.servers) server.close();
  }
}

/**
 * Opens a port on every address that a host resolves to, or on none. While it is open, no other listener on this
 * machine serves any of them: the listeners are exclusive, even between the workers of a cluster, and the loopback
 * addresses of both families count as one.
 * @param port 0 takes any free port, the same for all addresses
 * @param accept gets the connections, once all addresses are open
 * @param failed called when a connection could not be accepted
 * @throws ConfigError if the port is in use or an address is not this machine's
 */
export async function openPort(
  host: string,
  port: number,
  accept: (socket: Socket) => void,
  failed: (error: Error) => void,
  network: Network = NETWORK,
): Promise<OpenPort> {
  try {
    const addresses = await addressesOf(host, network);
    for (let attempt = 1; ; attempt++) {
      try {
        return await new Opening(addresses, accept, failed, network).open(port);
      } catch (error) {
        if (port !== 0 || attempt === ATTEMPTS || codeOf(error) !== 'EADDRINUSE') throw error;
      }
    }
  } catch (error) {
    throw listenError(host, port, error as NodeJS.ErrnoException);
  }
}

/** One attempt to open all addresses. */
class Opening {
  private readonly servers: Server[] = [];
  /** Connections that arrived before the last address was open. */
  private early: Socket[] | undefined = [];

  constructor(
    private readonly addresses: readonly string[],
    private readonly accept: (socket: Socket) => void,
    private readonly failed: (error: Error) => void,
    private readonly network: Network,
  ) {}

  async open(port: number): Promise<OpenPort> {
    try {
      // Not every system refuses a specific address beside a wildcard, or a wildcard beside a specific address.
      if (port !== 0) await this.assertFree(this.addresses.flatMap(reachedBy), port);
      let open = port;
      for (const address of this.addresses) open = await this.listen(address, open);
      // Only now: of two processes that open different addresses at once, at least one then sees the other.
      await this.assertFree(this.loopbacksOfOthers(), open);
    } catch (error) {
      for (const server of this.servers) server.close();
      for (const socket of this.early!) socket.destroy();
      throw error;
    }
    const early = this.early!;
    this.early = undefined;
    const { address, port: opened } = this.servers[0]!.address() as AddressInfo;
    const all = new OpenPort(this.servers, { host: address, port: opened });
    for (const socket of early) if (!socket.destroyed) this.accept(socket);
    return all;
  }

  /** Returns the port. */
  private async listen(address: string, port: number): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (s) => this.onConnection(s));
    try {
      await this.network.listen(server, address, port, this.addresses.length > 1);
    } catch (error) {
      server.close();
      // On a machine without IPv6 nothing can serve or reach the IPv6 loopback address.
      const isMissing = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(codeOf(error) ?? '');
      if (isMissing && address === '::1' && this.addresses.length > 1) return port;
      throw error;
    }
    server.on('error', this.failed);
    this.servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  private onConnection(socket: Socket): void {
    if (!this.early) return this.accept(socket);
    socket.on('error', () => {});
    this.early.push(socket);
  }

  /** Loopback addresses that `localhost` may also resolve to, if any of these addresses is a loopback or a wildcard. */
  private loopbacksOfOthers(): string[] {
    const { addresses } = this;
    if (!addresses.some((address) => LOOPBACKS.includes(address) || isWildcard(address))) return [];
    const own = new Set(addresses.flatMap(reachedBy));
    return LOOPBACKS.filter((loopback) => !own.has(loopback));
  }

  private async assertFree(addresses: readonly string[], port: number): Promise<void> {
    const served = await Promise.all(addresses.map((address) => this.network.isServed(address, port)));
    const taken = addresses[served.indexOf(true)];
    if (taken === undefined) return;
    throw Object.assign(new Error(`${hostPort(taken, port)} has another listener`), { code: 'EADDRINUSE' });
  }
}

/** The addresses that a host resolves to, each once. */
async function addressesOf(host: string, network: Network): Promise<string[]> {
  if (isIP(host)) return [plain(host)];
  const isLocalhost = /(^|\.)localhost\.?$/i.test(host);
  let found: readonly string[];
  try {
    found = await network.lookup(host);
  } catch (error) {
    if (!isLocalhost) throw error;
    found = [];
  }
  // Names of this machine have both, whatever the hosts file says (RFC 6761): clients may use other resolvers.
  return [...new Set([...found.map(plain), ...(isLocalhost ? LOOPBACKS : [])])];
}

/** An IPv4-mapped IPv6 address as plain IPv4. */
const plain = (address: string): string => address.replace(/^::ffff:(?=[\d.]+$)/i, '');

const isWildcard = (address: string): boolean => address === '0.0.0.0' || address === '::';
const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');

/** The addresses of this machine that reach a listener on `address`; none if it may belong to another machine. */
function reachedBy(address: string): string[] {
  if (isLoopback(address)) return [address];
  const here = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  if (!isWildcard(address)) return here.some((one) => one.address === address) ? [address] : [];
  const families = address === '::' ? ['IPv4', 'IPv6'] : ['IPv4'];
  const all = here.filter((one) => families.includes(one.family) && !/^fe80:/i.test(one.address));
  const loopbacks = address === '::' ? LOOPBACKS : LOOPBACKS.slice(0, 1);
  return [...new Set([...loopbacks, ...all.map((one) => one.address)])];
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

const probeOn =
  (clock: Clock) =>
  (host: string, port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect({ host, port });
      const timer = clock.setTimer(() => done(false), PROBE_MS, true);
      const done = (served: boolean): void => {
        clock.clearTimer(timer);
        socket.destroy();
        resolve(served);
      };
      socket.once('connect', () => done(true));
      socket.on('error', () => done(false));
    });

const NETWORK: Network = {
  lookup: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  listen: (server, host, port, ipv6Only) =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, ipv6Only, exclusive: true, backlog: 4096 }, () => {
        server.removeListener('error', reject);
        resolve();
      });
    }),
  isServed: probeOn(systemClock),
};

/** An IPv6 address in brackets. */
export const hostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

function listenError(host: string, port: number, error: NodeJS.ErrnoException): ConfigError {
  const where = hostPort(host, port);
  let text = `cannot listen on ${where}: ${error.message}`;
  if (error.code === 'EADDRINUSE') {
    text = cluster.isWorker
      ? `${where} is already in use. Each worker of a cluster would have locks of its own: run the daemon in the ` +
        `primary or in a separate process, and give the workers the option servers: ['${where}']`
      : `${where} is already in use. If a dflockd runs there, connect to it with the option servers: ['${where}']`;
  }
  return new ConfigError(text, { cause: error, server: where });
}
