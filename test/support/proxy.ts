import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Channel, type Cut, type Direction, type Mode, Traffic } from './proxy-channel.js';

export type { Cut, Direction } from './proxy-channel.js';

const BOTH: readonly Direction[] = ['up', 'down'];

/** A TCP connection that a test can cut. */
export class Link {
  private readonly up: Channel;
  private readonly down: Channel;
  /** The client does not know that there is no server any more. */
  private severed = false;

  constructor(
    readonly client: Socket,
    readonly server: Socket,
    traffic: Readonly<Record<Direction, Traffic>>,
    private readonly onCut: () => void,
    random: () => number,
  ) {
    this.up = new Channel(client, server, traffic.up, (how) => this.cut('up', how), random);
    this.down = new Channel(server, client, traffic.down, (how) => this.cut('down', how), random);
  }

  /** RST to the client; the daemon sees the connection end too. */
  reset(): void {
    this.stop();
    this.onCut();
    this.client.resetAndDestroy();
    this.server.destroy();
  }

  /** The connection ends for the daemon only; the client hears nothing. */
  resetServer(): void {
    this.stop();
    this.severed = true;
    this.server.resetAndDestroy();
  }

  /** A FIN in one direction; the other one passes. */
  halfClose(direction: Direction): void {
    this.onCut();
    (direction === 'up' ? this.server : this.client).end();
  }

  /** Everything passes, as it comes: what one end does, the other one sees. */
  get isClear(): boolean {
    return !this.severed && this.up.isClear && this.down.isClear;
  }

  /** What was kept goes on; where bytes are missing, no TCP connection could go on: it is reset. */
  resume(): void {
    if (this.up.broken || this.down.broken || this.severed) return this.reset();
    this.up.hurry();
    this.down.hurry();
  }

  stop(): void {
    this.up.stop();
    this.down.stop();
  }

  private cut(direction: Direction, how: Cut): void {
    if (how === 'reset') this.reset();
    else if (how === 'end') this.halfClose(direction);
  }
}

/** What becomes of a new connection: passed on, refused by the machine, or accepted and closed. */
export type Door = 'open' | 'refuse' | 'close';

/** Stands between clients and a daemon, and does to their connections what networks do. */
export class Proxy {
  readonly links = new Set<Link>();
  private readonly server: Server;
  private readonly traffic: Readonly<Record<Direction, Traffic>> = { up: new Traffic(), down: new Traffic() };
  private door: Door = 'open';
  private port = 0;
  private closed = false;

  /** @param random for jitter */
  private constructor(
    private readonly target: number,
    private readonly random: () => number,
  ) {
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.accept(client));
  }

  /** @param at where it listens; 0: anywhere */
  static async to(port: number, at = 0, random: () => number = Math.random): Promise<Proxy> {
    const proxy = new Proxy(port, random);
    await proxy.listen(at);
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Called whenever this proxy ends a connection by itself, as it does so. */
  onCut: () => void = () => undefined;

  /** Called when the server ends a connection whose client is about to see it. */
  onServerEnd: () => void = () => undefined;

  /** Called with what passes. */
  onData: ((direction: Direction, chunk: Buffer) => void) | undefined = undefined;

  /** Nothing is forwarded any more, no FIN either, and nobody is told; of later connections as well. */
  blackHole(directions: readonly Direction[] = BOTH): void {
    this.set('hole', directions);
  }

  /** What comes is kept. */
  hold(directions: readonly Direction[] = BOTH): void {
    this.set('hold', directions);
  }

  /** Forwards again as at the start, what was kept first; connections of which something is missing are reset. */
  pass(): void {
    for (const direction of BOTH) this.traffic[direction].clear();
    for (const link of [...this.links]) link.resume();
  }

  /** Everything that comes from now on takes so much longer. */
  delay(ms: number, directions: readonly Direction[] = BOTH): void {
    this.shape({ delayMs: ms }, directions);
  }

  /** Delay, jitter, throttle and split for what comes from now on. */
  shape(
    shape: Partial<Pick<Traffic, 'delayMs' | 'jitterMs' | 'bytesPerSecond' | 'pieceBytes'>>,
    directions: readonly Direction[] = BOTH,
  ): void {
    for (const direction of directions) Object.assign(this.traffic[direction], shape);
  }

  /** The connection on which the `after`-th byte from now on travels is cut behind it. */
  cutAfter(after: number, how: Cut, direction: Direction): void {
    this.traffic[direction].cut = { after, how };
  }

  /** Cuts all connections. */
  reset(): void {
    for (const link of [...this.links]) link.reset();
  }

  /** All connections end, and only the daemon is told. */
  resetServers(): void {
    for (const link of [...this.links]) link.resetServer();
  }

  halfClose(direction: Direction): void {
    for (const link of [...this.links]) link.halfClose(direction);
  }

  /** For later connections. */
  async setDoor(door: Door): Promise<void> {
    const refused = this.door === 'refuse';
    this.door = door;
    if (door === 'refuse' && !refused) this.server.close();
    else if (door !== 'refuse' && refused) await this.listen(this.port);
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const link of this.links) {
      link.stop();
      link.client.destroy();
      link.server.destroy();
    }
    if (this.server.listening) await new Promise((resolve) => this.server.close(resolve));
  }

  private async listen(at: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(at, '127.0.0.1', () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    this.port = (this.server.address() as AddressInfo).port;
  }

  private accept(client: Socket): void {
    if (this.door !== 'open' || this.closed) {
      client.on('error', () => undefined);
      client.destroy();
      return;
    }
    const server = connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const link = new Link(client, server, this.traffic, () => this.onCut(), this.random);
    this.links.add(link);
    let isOver = false;
    const serverEnds = (): void => {
      if (!isOver && link.isClear) this.onServerEnd();
      isOver = true;
    };
    server.once('end', serverEnds).once('error', serverEnds);
    client.on('data', (chunk: Buffer) => this.onData?.('up', chunk));
    server.on('data', (chunk: Buffer) => this.onData?.('down', chunk));
    for (const socket of [client, server]) {
      socket.on('close', () => {
        if (client.destroyed && server.destroyed) this.links.delete(link);
      });
    }
  }

  private set(mode: Mode, directions: readonly Direction[]): void {
    for (const direction of directions) this.traffic[direction].mode = mode;
  }
}
