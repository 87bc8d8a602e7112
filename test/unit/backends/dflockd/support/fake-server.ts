import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Request } from '../../../../../lib/protocol/messages.js';
import { RequestDecoder } from '../../../../../lib/protocol/request-decoder.js';
import { encodeRequest } from '../../../../../lib/protocol/request-encoder.js';

/** What a scripted server does with a request: say something, or nothing. */
export type Script = (request: Request, peer: Peer) => string | undefined;

/** One accepted connection. */
export class Peer {
  readonly requests: Request[] = [];
  /** Sizes of the chunks as they came. */
  readonly chunks: number[] = [];
  ended = false;
  /** Nothing has come yet but `auth`. */
  private isNew = true;

  /** @param proves answers the ping with which a connection begins, which is no request of its user */
  constructor(
    readonly socket: Socket,
    script: Script,
    public proves: boolean,
  ) {
    const decoder = new RequestDecoder();
    socket.on('data', (chunk) => {
      const isProof = this.proves && this.isNew && chunk.toString('latin1') === PING;
      if (!isProof) this.chunks.push(chunk.length);
      decoder.push(chunk.toString('latin1'));
      for (let next = decoder.next(); typeof next !== 'string'; next = decoder.next()) {
        if (next.t !== 'auth') this.isNew = false;
        if (isProof) {
          socket.write('ok\n');
          continue;
        }
        this.requests.push(next);
        const answer = script(next, this);
        if (answer !== undefined) socket.write(answer, 'latin1');
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => (this.ended = true));
  }

  say(text: string): void {
    this.socket.write(text, 'latin1');
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

const PING = encodeRequest({ t: 'ping' });

/** A server that says what a test tells it to. */
export class FakeServer {
  readonly peers: Peer[] = [];
  script: Script;
  port = 0;
  /** Whether it proves to be dflockd to whoever connects, by itself. */
  proves = true;
  private readonly server: Server;

  private constructor(script: Script) {
    this.script = script;
    this.server = createServer((socket) => {
      this.peers.push(new Peer(socket, (request, peer) => this.script(request, peer), this.proves));
    });
  }

  static async start(script: Script = () => undefined, port = 0): Promise<FakeServer> {
    const fake = new FakeServer(script);
    await new Promise<void>((resolve) => fake.server.listen(port, '127.0.0.1', resolve));
    fake.port = (fake.server.address() as AddressInfo).port;
    return fake;
  }

  get endpoint() {
    return { host: '127.0.0.1', port: this.port, label: `127.0.0.1:${this.port}` };
  }

  /** Takes no new connections; those there are stay. */
  refuse(): void {
    this.server.close();
  }

  async close(): Promise<void> {
    for (const peer of this.peers) peer.socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Grants everything, as a server would if nobody else were there. */
export const obliging: Script = (request) => {
  switch (request.t) {
    case 'acquire':
      return 'ok 0123456789abcdef0123456789abcdef 33\n';
    case 'renew':
      return `ok ${request.leaseMs / 1000 || 33}\n`;
    case 'stats':
      return 'ok {"connections":1,"locks":[],"semaphores":[],"idle_locks":[],"idle_semaphores":[]}\n';
    default:
      return 'ok\n';
  }
};
