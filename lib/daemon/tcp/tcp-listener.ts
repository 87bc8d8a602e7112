import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { ConfigError } from '../../common/errors.js';
import { Admission, plainAddress } from '../fairness/admission.js';
import { Connections } from '../shared/connections.js';
import { Handshaking } from '../shared/handshaking.js';
import type { Listener } from '../shared/listener.js';
import { ListeningPort } from '../shared/listening-port.js';
import type { SparseLog } from '../shared/logger.js';
import type { ListeningAddress } from '../shared/open-port.js';
import type { ResolvedServerOptions } from '../shared/options.js';
import type { SessionHost } from './session-host.js';
import { TcpSession } from './tcp-session.js';

/** The port of the line protocol; serves any other byte stream as well. */
export class TcpListener implements Listener {
  private readonly admission: Admission;
  /** Before and after the TLS handshake. */
  private readonly connections = new Connections();
  private readonly handshaking = new Handshaking();
  private readonly port: ListeningPort;
  private tls: TlsServer | undefined;

  /** @param log for events that clients cause */
  constructor(
    private readonly options: ResolvedServerOptions,
    private readonly host: SessionHost,
    private readonly log: SparseLog,
  ) {
    this.admission = new Admission(options.maxConnections, options.maxConnectionsPerIp);
    this.port = new ListeningPort(
      (socket) => this.accept(socket),
      (error) => log.tell('error', 'accept failed', { err: error.message }),
    );
  }

  get address(): ListeningAddress | undefined {
    return this.port.address;
  }

  /** Those in a TLS handshake included. */
  get count(): number {
    return this.admission.count;
  }

  get openConnections(): number {
    return this.connections.size;
  }

  async open(): Promise<void> {
    const { host, port, tls } = this.options;
    if (tls) this.tls = this.createTls(tls);
    await this.port.open(host, port);
  }

  giveUp(): void {
    this.port.giveUp();
    this.connections.destroyAll();
  }

  /** Serves one client on a stream: an accepted socket, a TLS socket, one half of a pair. */
  handle(stream: Duplex, peer: string): void {
    // Without a listener an error event would throw. The session, once there is one, has a listener too.
    stream.on('error', () => {});
    // Its `close` event may already have been emitted, so the connection would be counted for ever.
    if (stream.destroyed) return;
    if (this.port.isStopped || !this.admits(peer)) {
      stream.destroy();
      return;
    }
    this.track(stream, peer);
    this.serve(stream, peer);
  }

  stop(): Promise<void> | undefined {
    return this.port.stop();
  }

  /** Idle connections stay open: their next requests are answered that the server drains. */
  drain(isEngineDrained: boolean): void {
    if (!isEngineDrained) this.connections.destroyAll();
  }

  whenEmpty(): Promise<void> {
    return this.connections.whenEmpty();
  }

  cutOff(): void {
    this.connections.cutOff();
  }

  close(): void {
    this.host.alarms.clear();
  }

  private accept(socket: Socket): void {
    const peer = plainAddress(socket.remoteAddress);
    if (!this.admits(peer)) return void socket.destroy();
    this.track(socket, peer);
    if (this.tls) {
      // A client that closes during the handshake is gone; a half-open socket would not show it.
      socket.allowHalfOpen = false;
      this.handshaking.add(socket);
      this.tls.emit('connection', socket);
    } else {
      this.serve(socket, peer);
    }
  }

  private admits(peer: string): boolean {
    if (this.admission.admit(peer)) return true;
    this.log.tell('warn', 'connection refused: too many connections', { peer, connections: this.count });
    return false;
  }

  private track(stream: Duplex, peer: string): void {
    this.connections.add(stream, () => {
      this.admission.leave(peer);
    });
  }

  private serve(stream: Duplex, peer: string): void {
    try {
      new TcpSession(stream, this.host, peer);
    } catch (error) {
      this.host.log('error', 'a connection failed and was closed', {
        peer,
        err: String((error as Error).stack ?? error),
      });
      stream.destroy();
    }
  }

  private createTls(tls: { cert: Buffer; key: Buffer }): TlsServer {
    const { readTimeout } = this.options;
    try {
      const server = createTlsServer({
        ...tls,
        minVersion: 'TLSv1.2',
        handshakeTimeout: readTimeout * 1000,
      });
      server.on('secureConnection', (socket) => {
        this.handshaking.end(socket);
        socket.allowHalfOpen = true;
        this.serve(socket, plainAddress(socket.remoteAddress));
      });
      server.on('tlsClientError', (error, socket) => {
        this.log.tell('debug', 'TLS handshake failed', { err: error.message });
        socket.destroy();
      });
      return server;
    } catch (error) {
      throw new ConfigError(`daemon options tlsCert, tlsKey: ${(error as Error).message}`, { cause: error });
    }
  }
}
