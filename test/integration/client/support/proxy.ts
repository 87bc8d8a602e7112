import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A TCP connection that a test can cut or freeze. */
export class Link {
  constructor(
    readonly client: Socket,
    readonly server: Socket,
  ) {}

  /** RST to the client; the server sees the connection end too. */
  reset(): void {
    this.client.resetAndDestroy();
    this.server.destroy();
  }
}

/** Stands between clients and a daemon. */
export class Proxy {
  readonly links = new Set<Link>();
  private readonly server: Server;
  private frozen = false;

  private constructor(target: number) {
    this.server = createServer((client) => {
      const server = connect(target, '127.0.0.1');
      const link = new Link(client, server);
      this.links.add(link);
      client.on('data', (chunk) => this.frozen || server.write(chunk));
      server.on('data', (chunk) => this.frozen || client.write(chunk));
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        one.on('error', () => undefined);
        one.on('close', () => {
          this.links.delete(link);
          if (!this.frozen) other.destroy();
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

  /** Nothing is forwarded any more, and nobody is told. */
  freeze(): void {
    this.frozen = true;
  }

  reset(): void {
    for (const link of [...this.links]) link.reset();
  }

  async close(): Promise<void> {
    for (const { client, server } of this.links) {
      client.destroy();
      server.destroy();
    }
    await new Promise((resolve) => this.server.close(resolve));
  }
}
