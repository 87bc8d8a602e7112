import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** `up`: from the client to the daemon. */
export type Direction = 'up' | 'down';

/** pass; hold: keeps what comes until it passes again; hole: what comes is gone, a FIN or reset too. */
type Mode = 'pass' | 'hold' | 'hole';

const BOTH: readonly Direction[] = ['up', 'down'];

/** How one direction is treated. */
class Traffic {
  mode: Mode = 'pass';
  delayMs = 0;
}

/** A piece of a stream on its way; `end` is a FIN, `cut` a reset. */
interface Piece {
  readonly due: number;
  readonly what: Buffer | 'end' | 'cut';
}

/** One direction of a connection. */
class Channel {
  private readonly pieces: Piece[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(
    from: Socket,
    private readonly to: Socket,
    private readonly traffic: Traffic,
  ) {
    from.on('data', (chunk: Buffer) => this.take(chunk));
    from.on('end', () => this.take('end'));
    from.on('error', () => this.take('cut'));
  }

  /** What is due goes on. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    while (this.pieces.length > 0 && this.traffic.mode === 'pass') {
      const left = this.pieces[0]!.due - performance.now();
      if (left > 0) {
        this.timer = setTimeout(() => this.flush(), left);
        return;
      }
      this.give(this.pieces.shift()!.what);
    }
  }

  stop(): void {
    clearTimeout(this.timer);
    this.pieces.length = 0;
  }

  private take(what: Piece['what']): void {
    if (this.traffic.mode === 'hole') return;
    const { delayMs } = this.traffic;
    if (delayMs === 0 && this.pieces.length === 0 && this.traffic.mode === 'pass') return this.give(what);
    this.pieces.push({ due: performance.now() + delayMs, what });
    this.flush();
  }

  private give(what: Piece['what']): void {
    if (this.to.destroyed) return;
    if (what === 'end') this.to.end();
    else if (what === 'cut') this.to.resetAndDestroy();
    else this.to.write(what);
  }
}

/** A TCP connection that a test can cut. */
export class Link {
  private readonly up: Channel;
  private readonly down: Channel;

  constructor(
    readonly client: Socket,
    readonly server: Socket,
    traffic: Readonly<Record<Direction, Traffic>>,
  ) {
    this.up = new Channel(client, server, traffic.up);
    this.down = new Channel(server, client, traffic.down);
  }

  /** RST to the client; the daemon sees the connection end too. */
  reset(): void {
    this.stop();
    this.client.resetAndDestroy();
    this.server.destroy();
  }

  flush(): void {
    this.up.flush();
    this.down.flush();
  }

  stop(): void {
    this.up.stop();
    this.down.stop();
  }
}

/** Stands between clients and a daemon, and does to their connections what networks do. */
export class Proxy {
  readonly links = new Set<Link>();
  private readonly server: Server;
  private readonly traffic: Readonly<Record<Direction, Traffic>> = { up: new Traffic(), down: new Traffic() };

  private constructor(target: number) {
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const server = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      const link = new Link(client, server, this.traffic);
      this.links.add(link);
      for (const socket of [client, server]) {
        socket.on('close', () => {
          if (client.destroyed && server.destroyed) this.links.delete(link);
        });
      }
    });
  }

  static async to(port: number): Promise<Proxy> {
    const proxy = new Proxy(port);
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Nothing is forwarded any more, no FIN either, and nobody is told; of later connections as well. */
  blackHole(directions: readonly Direction[] = BOTH): void {
    this.set('hole', directions);
  }

  /** What comes is kept. */
  hold(directions: readonly Direction[] = BOTH): void {
    this.set('hold', directions);
  }

  /** Forwards again, what was kept first. */
  pass(): void {
    this.set('pass', BOTH);
    for (const link of this.links) link.flush();
  }

  /** Everything that comes from now on takes so much longer. */
  delay(ms: number, directions: readonly Direction[] = BOTH): void {
    for (const direction of directions) this.traffic[direction].delayMs = ms;
  }

  /** Cuts all connections. */
  reset(): void {
    for (const link of [...this.links]) link.reset();
  }

  async close(): Promise<void> {
    for (const link of this.links) {
      link.stop();
      link.client.destroy();
      link.server.destroy();
    }
    await new Promise((resolve) => this.server.close(resolve));
  }

  private set(mode: Mode, directions: readonly Direction[]): void {
    for (const direction of directions) this.traffic[direction].mode = mode;
  }
}
