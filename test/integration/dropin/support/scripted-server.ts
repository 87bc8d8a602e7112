import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Standstills } from '../../../support/stopwatch.js';

/** One request as it came: its three lines. */
export type Lines = readonly [command: string, key: string, argument: string];

/** What to say to a request: text to be sent, or nothing. */
export type Script = (lines: Lines, peer: ScriptedPeer) => string | undefined | void;

/** One accepted connection. */
export class ScriptedPeer {
  /** Every byte, as latin1. */
  received = '';
  readonly requests: Lines[] = [];
  /** When each request was complete. */
  readonly times: number[] = [];
  /** How long this process could not run, until then. */
  readonly stoodStill: number[] = [];
  /** Sizes of the chunks as they came. */
  readonly chunks: number[] = [];
  ended = false;
  private unread = '';

  constructor(
    readonly socket: Socket,
    private readonly server: ScriptedServer,
  ) {
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.take(chunk.toString('latin1')));
    socket.on('end', () => (this.ended = true));
    socket.on('close', () => (this.ended = true));
    socket.on('error', () => undefined);
  }

  /** UTF-8. */
  say(text: string): void {
    this.socket.write(text);
  }

  private take(text: string): void {
    this.received += text;
    this.chunks.push(text.length);
    this.unread += text;
    for (let end = this.third(); end > 0; end = this.third()) {
      const lines = this.unread.slice(0, end - 1).split('\n') as unknown as Lines;
      this.unread = this.unread.slice(end);
      this.requests.push(lines);
      this.times.push(performance.now());
      this.stoodStill.push(this.server.standstills.total);
      const answer = this.server.script(lines, this);
      if (typeof answer === 'string') this.say(answer);
    }
  }

  /** Where the third line ends. */
  private third(): number {
    let at = 0;
    for (let line = 0; line < 3; line++) {
      at = this.unread.indexOf('\n', at) + 1;
      if (at === 0) return 0;
    }
    return at;
  }
}

/** A server that says what a test tells it to, and notes every byte that it gets. */
export class ScriptedServer {
  readonly peers: ScriptedPeer[] = [];
  readonly standstills = new Standstills();
  port = 0;
  private readonly server: Server;

  private constructor(public script: Script) {
    this.server = createServer(
      { allowHalfOpen: true },
      (socket) => void this.peers.push(new ScriptedPeer(socket, this)),
    );
  }

  static async start(script: Script = () => undefined): Promise<ScriptedServer> {
    const scripted = new ScriptedServer(script);
    scripted.server.listen(0, '127.0.0.1');
    await once(scripted.server, 'listening');
    scripted.port = (scripted.server.address() as AddressInfo).port;
    return scripted;
  }

  get servers(): [string, number][] {
    return [['127.0.0.1', this.port]];
  }

  /** All that came, whatever the connection. */
  get received(): string {
    return this.peers.map(({ received }) => received).join('');
  }

  /** A socket that is connected to it. */
  async socket(): Promise<Socket> {
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return socket;
  }

  async close(): Promise<void> {
    this.standstills.stop();
    for (const { socket } of this.peers) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export const TOKEN = '0123456789abcdef0123456789abcdef';

/** Grants everything, for `lease` seconds. */
export const obliging =
  (lease = 33): Script =>
  ([command]) => {
    switch (command) {
      case 'l':
      case 'w':
      case 'sl':
      case 'sw':
        return `ok ${TOKEN} ${lease}\n`;
      case 'e':
      case 'se':
        return `acquired ${TOKEN} ${lease}\n`;
      case 'n':
      case 'sn':
        return `ok ${lease}\n`;
      default:
        return 'ok\n';
    }
  };
