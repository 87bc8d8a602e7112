import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach } from '@jest/globals';
import { DflockdServer, type ServerDependencies } from '../../../../lib/daemon/server.js';
import type { DflockdServerOptions } from '../../../../lib/daemon/shared/options.js';
import { freePort } from '../../../support/free-port.mjs';
import { inTime } from '../../../support/until.js';
import { Wire } from '../../../support/wire.js';

/** An answer, byte by byte. */
export interface Answer {
  readonly status: number;
  /** The names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** As sent, without the blank line. */
  readonly head: string;
  readonly body: string;
}

const HEAD_END = '\r\n\r\n';

/** One connection to an HTTP server that sends and receives bytes (latin1). */
export class HttpWire {
  received = '';
  /** The peer has closed its side. */
  ended = false;
  closed = false;
  private news: (() => void)[] = [];

  constructor(readonly socket: Socket) {
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.tell(() => (this.received += text)));
    socket.on('end', () => this.tell(() => (this.ended = true)));
    socket.on('close', () => this.tell(() => (this.closed = this.ended = true)));
    socket.on('error', () => undefined);
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** The next answer. @param isHead whether it has no body, whatever its headers say */
  async answer(isHead = false): Promise<Answer> {
    const whole = await this.have(() => this.take(isHead), 'an answer');
    return whole;
  }

  /** Everything that comes until the peer closes. */
  async rest(): Promise<string> {
    await this.have(() => (this.ended ? true : undefined), 'the end of the connection');
    return this.received;
  }

  async ask(request: string, isHead = false): Promise<Answer> {
    return this.send(request).answer(isHead);
  }

  destroy(): void {
    this.socket.destroy();
  }

  async have<T>(look: () => T | undefined, what: string): Promise<T> {
    return inTime(
      (async () => {
        for (;;) {
          const found = look();
          if (found !== undefined) return found;
          if (this.ended) throw new Error(`closed before ${what}: ${JSON.stringify(this.received)}`);
          await new Promise<void>((resolve) => this.news.push(resolve));
        }
      })(),
      what,
    );
  }

  private tell(change: () => void): void {
    change();
    for (const resolve of this.news.splice(0)) resolve();
  }

  private take(isHead: boolean): Answer | undefined {
    const end = this.received.indexOf(HEAD_END);
    if (end < 0) return undefined;
    const head = this.received.slice(0, end);
    const [line, ...fields] = head.split('\r\n');
    const headers = Object.fromEntries(
      fields.map((field) => [field.slice(0, field.indexOf(':')).toLowerCase(), field.slice(field.indexOf(':') + 2)]),
    );
    const status = Number(line!.split(' ')[1]);
    const from = end + HEAD_END.length;
    if (status === 100) {
      this.received = this.received.slice(from);
      return { status, headers, head, body: '' };
    }
    const rest = this.received.slice(from);
    const length = isHead || status === 204 ? 0 : headers['content-length'];
    if (length === undefined) {
      if (headers['transfer-encoding'] === 'chunked') return this.takeChunks(from, { status, headers, head });
      if (!this.ended) return undefined;
      this.received = '';
      return { status, headers, head, body: rest };
    }
    if (rest.length < Number(length)) return undefined;
    this.received = rest.slice(Number(length));
    return { status, headers, head, body: rest.slice(0, Number(length)) };
  }

  private takeChunks(from: number, answer: Omit<Answer, 'body'>): Answer | undefined {
    let body = '';
    for (let at = from; ;) {
      const line = this.received.indexOf('\r\n', at);
      if (line < 0) return undefined;
      const size = parseInt(this.received.slice(at, line), 16);
      if (this.received.length < line + 2 + size + 2) return undefined;
      if (size === 0) {
        this.received = this.received.slice(line + 4);
        return { ...answer, body };
      }
      body += this.received.slice(line + 2, line + 2 + size);
      at = line + 2 + size + 2;
    }
  }
}

export async function connectTo(port: number): Promise<HttpWire> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return new HttpWire(socket);
}

/** A request as bytes. */
export function request(method: string, path: string, body?: string, headers: Record<string, string> = {}): string {
  const fields = { Host: 'x', ...(body === undefined ? {} : { 'Content-Length': String(body.length) }), ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}

export const inSession = (id: string): Record<string, string> => ({ 'X-Dflockd-Session': id });

/** A daemon with an HTTP port, and the connections to it. */
export class HttpDaemon {
  private readonly wires: { destroy(): void }[] = [];

  private constructor(
    readonly server: DflockdServer,
    readonly port: number,
    readonly tcpPort: number,
  ) {}

  static async start(options: DflockdServerOptions = {}, deps?: ServerDependencies): Promise<HttpDaemon> {
    for (let attempt = 1; ; attempt++) {
      const server = new DflockdServer({ port: 0, httpPort: await freePort(), ...options }, deps);
      try {
        const { port } = await server.listen();
        return new HttpDaemon(server, server.httpAddress()!.port, port);
      } catch (error) {
        if (attempt === 10 || options.httpPort !== undefined) throw error;
      }
    }
  }

  async open(): Promise<HttpWire> {
    const wire = await connectTo(this.port);
    this.wires.push(wire);
    return wire;
  }

  async tcp(): Promise<Wire> {
    const wire = await Wire.tcp({ host: '127.0.0.1', port: this.tcpPort });
    this.wires.push(wire);
    return wire;
  }

  /** One request on a connection of its own. */
  async ask(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<Answer> {
    const wire = await this.open();
    const answer = await wire.ask(request(method, path, body, headers), method === 'HEAD');
    wire.destroy();
    return answer;
  }

  async session(): Promise<string> {
    const { body } = await this.ask('POST', '/v1/sessions');
    return (JSON.parse(body) as { session_id: string }).session_id;
  }

  /** A request of a session on a connection of its own. */
  in(id: string, path: string, body: object | string = {}): Promise<Answer> {
    return this.ask('POST', path, typeof body === 'string' ? body : JSON.stringify(body), inSession(id));
  }

  async stop(): Promise<void> {
    for (const wire of this.wires) wire.destroy();
    await this.server.close();
  }
}

/** Starts daemons that are stopped after the test. */
export function useHttpDaemons(): (options?: DflockdServerOptions, deps?: ServerDependencies) => Promise<HttpDaemon> {
  const running: HttpDaemon[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((daemon) => daemon.stop()));
  });
  return async (options, deps) => {
    const daemon = await HttpDaemon.start(options, deps);
    running.push(daemon);
    return daemon;
  };
}

export const error = (code: string, detail?: string): string =>
  `${JSON.stringify(detail === undefined ? { error: code } : { error: code, detail })}\n`;
