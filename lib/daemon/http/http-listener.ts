import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { ConfigError } from '../../common/errors.js';
import type { Ms, Timer } from '../../common/system.js';
import { AUTH_CLOSE_DELAY_MS } from '../../protocol/limits.js';
import { Admission, plainAddress } from '../fairness/admission.js';
import { Connections } from '../shared/connections.js';
import type { Listener } from '../shared/listener.js';
import { ListeningPort } from '../shared/listening-port.js';
import type { ListeningAddress } from '../shared/open-port.js';
import { ERRORS } from './answers/answer.js';
import { rawAnswer } from './answers/raw-answer.js';
import { EscapedStream, hasRawTarget } from './escaped-stream.js';
import { firstHeader } from './exchange/headers.js';
import { BAD_REQUEST, type HttpConnection } from './exchange/http-connection.js';
import { Intake } from './exchange/intake.js';
import { HANDSHAKE_MS, Handshakes } from './handshakes.js';
import type { HttpService } from './http-service.js';
import type { Asked } from './layers.js';
import { IN_METHOD, IN_TARGET } from './exchange/unfinished-line.js';
import { UnparsedRequest } from './unparsed-request.js';

const HEADER_CAP = 64 * 1024;
/** How long a shutdown waits for handlers if it may last for ever (spec 19.1). */
const LONGEST_SHUTDOWN_MS: Ms = 30_000;
const HEAD_TOO_LARGE =
  'HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n' +
  '431 Request Header Fields Too Large';

interface ParserError extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
  readonly bytesParsed?: number;
}

/** The port of the HTTP interface. */
export class HttpListener implements Listener {
  private readonly server: Server;
  private readonly admission: Admission;
  /** Before and after the TLS handshake. */
  private readonly sockets = new Connections();
  private readonly connections = new Map<Duplex, HttpConnection>();
  private readonly unparsed = new WeakMap<Duplex, UnparsedRequest>();
  private readonly escaped = new WeakMap<Duplex, EscapedStream>();
  private readonly intakes = new WeakMap<Duplex, Intake>();
  private readonly port: ListeningPort;
  private tls: TlsServer | undefined;
  private handshakes: Handshakes | undefined;
  private patience: Timer | undefined;

  constructor(private readonly service: HttpService) {
    this.admission = new Admission(0, service.options.httpMaxConnectionsPerIp);
    this.port = new ListeningPort(
      (socket) => this.accept(socket),
      (error) => service.log.tell('error', 'accept failed', { err: error.message }),
    );
    // Deadlines are HttpConnection's: those of Node do not begin when they should, and answer.
    this.server = createServer({
      maxHeaderSize: HEADER_CAP,
      headersTimeout: 0,
      requestTimeout: 0,
      keepAliveTimeout: 0,
      requireHostHeader: false,
      insecureHTTPParser: false,
    });
    this.server.maxHeadersCount = 0;
    this.server.on('request', (req: IncomingMessage, res: ServerResponse) => this.receive(req, res, false));
    this.server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => this.receive(req, res, true));
    this.server.on('checkExpectation', (_req: IncomingMessage, res: ServerResponse) => {
      res.shouldKeepAlive = false;
      res.writeHead(417, ['Content-Length', '0']).end();
    });
    this.server.on('connect', (req: IncomingMessage, socket: Duplex) => this.onConnect(req, socket));
    this.server.on('clientError', (error: ParserError, socket: Duplex) => this.onClientError(error, socket));
  }

  get address(): ListeningAddress | undefined {
    return this.port.address;
  }

  get openConnections(): number {
    return this.sockets.size;
  }

  async open(): Promise<void> {
    const { httpHost, httpPort, tls } = this.service.options;
    if (tls) this.tls = this.createTls(tls);
    await this.port.open(httpHost, httpPort);
  }

  giveUp(): void {
    this.port.giveUp();
    this.sockets.destroyAll();
  }

  stop(): Promise<void> | undefined {
    const closed = this.port.stop();
    this.service.drain();
    this.handshakes?.cutOff();
    for (const connection of this.connections.values()) connection.drain();
    return closed;
  }

  drain(): void {
    const { options, driver } = this.service;
    if (options.shutdownTimeout > 0 || this.sockets.size === 0) return;
    this.patience = driver.clock.setTimer(() => this.cutOff(), LONGEST_SHUTDOWN_MS, true);
  }

  whenEmpty(): Promise<void> {
    return this.sockets.whenEmpty();
  }

  cutOff(): void {
    this.sockets.cutOff();
  }

  close(): void {
    if (this.patience) this.service.driver.clock.clearTimer(this.patience);
    this.patience = undefined;
    this.service.close();
  }

  private accept(socket: Socket): void {
    const peer = plainAddress(socket.remoteAddress);
    if (!this.admission.admit(peer)) {
      this.service.log.tell('warn', 'HTTP connection refused: too many connections', { peer });
      return void socket.destroy();
    }
    this.sockets.add(socket, () => {
      this.admission.leave(peer);
    });
    if (this.tls) this.handshakes!.begin(socket);
    else this.serveOn(socket, peer);
  }

  private serveOn(socket: Socket, peer: string): void {
    const connection = this.service.connect(socket, peer, true);
    this.connections.set(socket, connection);
    socket.once('close', () => this.connections.delete(socket));
    this.server.emit('connection', socket);
    this.intakes.set(socket, new Intake(socket, connection, this.service.share));
  }

  private createTls(tls: { cert: Buffer; key: Buffer }): TlsServer {
    try {
      const server = createTlsServer({ ...tls, minVersion: 'TLSv1.2', handshakeTimeout: HANDSHAKE_MS });
      server.on('secureConnection', (socket) => {
        this.handshakes!.end(socket);
        socket.on('error', () => {});
        socket.allowHalfOpen = true;
        if (this.port.isStopped) socket.destroy();
        else this.serveOn(socket, plainAddress(socket.remoteAddress));
      });
      server.on('tlsClientError', (error, socket) => {
        this.service.log.tell('debug', 'TLS handshake failed', { err: error.message });
        socket.destroy();
      });
      this.handshakes = new Handshakes(server, this.service);
      return server;
    } catch (error) {
      throw new ConfigError(`daemon options tlsCert, tlsKey: ${(error as Error).message}`, { cause: error });
    }
  }

  private receive(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const connection = this.connections.get(req.socket);
    if (connection) this.service.request(connection, req, res, expectsContinue);
    else req.socket.destroy();
  }

  private onClientError(error: ParserError, socket: Duplex): void {
    const connection = this.connections.get(socket);
    const escaped = this.escaped.get(socket);
    if (escaped && error.rawPacket) return escaped.feed(error.rawPacket);
    if (!connection || !error.code?.startsWith('HPE_') || error.code === 'HPE_INVALID_EOF_STATE') {
      return void socket.destroy();
    }
    if (connection.isClosing) return;
    const unparsed = this.unparsed.get(socket);
    if (error.code === 'HPE_INVALID_METHOD' || unparsed) {
      const start = unparsed ? error.rawPacket : this.startOf(socket, error, IN_METHOD);
      return this.collect(connection, unparsed ?? this.startUnparsed(socket), start ?? Buffer.alloc(0));
    }
    if (error.code === 'HPE_INVALID_URL' && this.escape(connection, socket, error)) return;
    connection.refuse(error.code === 'HPE_HEADER_OVERFLOW' ? HEAD_TOO_LARGE : BAD_REQUEST);
  }

  /** What the client has sent from the beginning of the request on that the parser has refused. */
  private startOf(socket: Duplex, { rawPacket, bytesParsed = 0 }: ParserError, part: RegExp): Buffer | undefined {
    return rawPacket && this.intakes.get(socket)?.line.startOf(rawPacket, bytesParsed, part);
  }

  /** Starts again with a request whose target has raw bytes that the parser refuses. It is the last on its connection. */
  private escape(connection: HttpConnection, socket: Duplex, error: ParserError): boolean {
    const start = this.startOf(socket, error, IN_TARGET);
    if (socket !== connection.socket || !start || !hasRawTarget(start)) return false;
    connection.takeLast();
    const stream = new EscapedStream(connection.socket, start);
    this.escaped.set(socket, stream);
    this.connections.set(stream, connection);
    connection.socket.once('close', () => this.connections.delete(stream));
    stream.on('error', () => {});
    this.server.emit('connection', stream);
    return true;
  }

  private startUnparsed(socket: Duplex): UnparsedRequest {
    const unparsed = new UnparsedRequest();
    this.unparsed.set(socket, unparsed);
    return unparsed;
  }

  /** A method that Node does not know gets the same answers as one that it knows, and no route has. */
  private collect(connection: HttpConnection, unparsed: UnparsedRequest, chunk: Buffer): void {
    const asked = unparsed.add(chunk, connection.peer);
    if (asked === 'more') return;
    if (asked) this.answerUnparsed(connection, asked);
    else connection.refuse(BAD_REQUEST);
  }

  private onConnect(req: IncomingMessage, socket: Duplex): void {
    const connection = this.connections.get(socket);
    if (!connection) return void socket.destroy();
    this.intakes.get(socket)?.stop();
    // Node no longer reads, and would not notice that the client leaves.
    socket.resume();
    const { peer } = connection;
    const header = (name: string): string | undefined => firstHeader(req.rawHeaders, name);
    this.answerUnparsed(connection, { method: 'CONNECT', url: req.url!, base: '', peer, header });
  }

  private answerUnparsed(connection: HttpConnection, asked: Asked): void {
    const { service } = this;
    const { answer = ERRORS.notFound, cors, label } = service.pass(asked);
    if (label !== undefined) service.requests.count(asked.method, label, answer.status, 0);
    const { clock } = service.driver;
    const text = rawAnswer(answer, cors, clock.wall());
    if (answer === ERRORS.unauthorized) clock.setTimer(() => connection.refuse(text), AUTH_CLOSE_DELAY_MS);
    else connection.refuse(text);
  }
}
