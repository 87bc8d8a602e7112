import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { Alarms } from '../common/alarms.js';
import { brand } from '../common/brand.js';
import { ConfigError } from '../common/errors.js';
import { printAs } from '../common/inspection.js';
import { type Clock, type Entropy, systemClock, systemEntropy } from '../common/system.js';
import type { EngineDriver } from '../core/driver.js';
import type { EngineObserver } from '../core/observer.js';
import { Admission, plainAddress } from './fairness/admission.js';
import { RequestScheduler } from './fairness/request-scheduler.js';
import { createEngine } from './shared/create-engine.js';
import { DescriptorWatch } from './shared/descriptor-watch.js';
import { type DaemonLogger, harmless, silent, SparseLog } from './shared/logger.js';
import { hostPort, type ListeningAddress, type OpenPort, openPort } from './shared/open-port.js';
import {
  type DflockdServerOptions,
  type ResolvedServerOptions,
  resolveServerOptions,
  shownServerOptions,
  type ShownServerOptions,
} from './shared/options.js';
import { TurnLimiter } from './fairness/turn-limiter.js';
import type { SessionHost } from './tcp/session-host.js';
import { SignalMemory } from './fairness/signal-memory.js';
import { StatsDesk } from './fairness/stats-desk.js';
import { TcpSession } from './tcp/tcp-session.js';
import { ReplyBatch } from './fairness/reply-batch.js';

/** Replacements for a server's own clock, randomness, log and engine. */
export interface ServerDependencies {
  clock?: Clock | undefined;
  entropy?: Entropy | undefined;
  logger?: DaemonLogger | undefined;
  /**
   * An engine that another component owns (in-process locks): the server is one more host of its sessions, and does not
   * stop its time.
   * @internal
   */
  driver?: EngineDriver | undefined;
  /** Receives the events of the engine; ignored if `driver` is given. @internal */
  observer?: EngineObserver | undefined;
}

/** Each costs some 50 to 100 µs, including what is written and closed. */
const ENDINGS_PER_TURN = 8;
/** Each listener written to costs some 15 µs. Signals that arrive for it while it waits are written together. */
const PUSHES_PER_TURN = 32;

const seconds = (s: number): number => s * 1000;

/** A lock daemon that speaks dflockd's protocol, on a TCP port and on any byte stream passed to `handle`. */
export class DflockdServer {
  readonly #options: ResolvedServerOptions;
  readonly #driver: EngineDriver;
  readonly #log: DaemonLogger;
  readonly #sparse: SparseLog;
  readonly #descriptors: DescriptorWatch | undefined;
  readonly #host: SessionHost;
  readonly #admission: Admission;
  readonly #ownsEngine: boolean;
  /** Accepted connections, before and after the TLS handshake. */
  readonly #open = new Set<Duplex>();
  #port: OpenPort | undefined;
  #opening: Promise<OpenPort> | undefined;
  #tls: TlsServer | undefined;
  #closing: Promise<void> | undefined;
  #whenEmpty: (() => void) | undefined;

  /** @throws ConfigError that names option and value */
  constructor(options: DflockdServerOptions = {}, deps: ServerDependencies = {}) {
    this.#options = resolveServerOptions(options);
    this.#log = deps.logger ? harmless(deps.logger) : silent;
    this.#ownsEngine = deps.driver === undefined;
    const { clock = systemClock, entropy = systemEntropy, observer } = deps;
    this.#driver = deps.driver ?? createEngine(this.#options, clock, entropy, this.#log, observer);
    this.#sparse = new SparseLog(this.#log, this.#driver.clock);
    if (deps.logger) this.#descriptors = new DescriptorWatch(this.#driver.clock, (error) => this.exhausted(error));
    this.#admission = new Admission(this.#options.maxConnections, this.#options.maxConnectionsPerIp);
    this.#host = this.sessionHost();
  }

  /**
   * Opens the port on every address that the host resolves to, or on none.
   * @throws ConfigError if the port is in use on one of them, or an address does not belong to this machine
   */
  async listen(): Promise<ListeningAddress> {
    if (this.#closing) throw new ConfigError('the server is closed');
    if (this.#opening) throw new ConfigError('the server is already listening');
    if (this.#options.tls) this.#tls = this.createTls(this.#options.tls);
    const { host, port } = this.#options;
    this.#opening = openPort(
      host,
      port,
      (socket) => this.accept(socket),
      (error) => this.#sparse.tell('error', 'accept failed', { err: error.message }),
    );
    let opened: OpenPort;
    try {
      opened = await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
    if (this.isClosing) throw new ConfigError('the server is closed');
    this.#port = opened;
    this.#descriptors?.start();
    const { address } = opened;
    this.#log('info', 'listening', { addr: hostPort(address.host, address.port) });
    return address;
  }

  /** The address it listens on; undefined while it does not listen. */
  address(): ListeningAddress | undefined {
    return this.isClosing ? undefined : this.#port?.address;
  }

  /** The options, checked and complete. For the token and TLS, only whether they were given. */
  get options(): ShownServerOptions {
    return shownServerOptions(this.#options);
  }

  /** Plain data, without secrets: address, number of connections, and whether it is closed. */
  toJSON(): object {
    const address = this.address();
    const listens = address === undefined ? undefined : hostPort(address.host, address.port);
    return { address: listens, connections: this.connections, state: this.#closing ? 'closed' : 'open' };
  }

  /** The number of open connections, including those in a TLS handshake. */
  get connections(): number {
    return this.#admission.count;
  }

  /** Serves one client on a stream: an accepted socket, a TLS socket, one half of a pair. */
  handle(stream: Duplex, peer: string): void {
    // Without a listener an error event would throw. The session, once there is one, has a listener too.
    stream.on('error', () => {});
    // Its `close` event may already have been emitted, so the connection would be counted for ever.
    if (stream.destroyed) return;
    if (this.#closing || !this.admits(peer)) {
      stream.destroy();
      return;
    }
    this.track(stream, peer);
    this.serve(stream, peer);
  }

  /**
   * Drains and shuts down (spec 7): the port closes, blocked waits get `error`, the next request on each connection
   * gets `error_draining`. Resolves when all connections are closed; after `shutdownTimeout` the server closes them.
   */
  close(): Promise<void> {
    this.#closing ??= this.shutDown();
    return this.#closing;
  }

  private get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  private async shutDown(): Promise<void> {
    const { clock, engine } = this.#driver;
    this.#descriptors?.stop();
    if (this.#port) this.#port.close();
    else if (this.#opening) await this.#opening.then((port) => port.close()).catch(() => undefined);
    this.#log('info', 'shutting down', { connections: this.#open.size });
    if (this.#ownsEngine) engine.drain(clock.now());
    else for (const stream of this.#open) stream.destroy();
    this.#driver.touch();
    if (this.#open.size > 0) {
      const empty = new Promise<void>((resolve) => (this.#whenEmpty = resolve));
      const { shutdownTimeout } = this.#options;
      const timer =
        shutdownTimeout > 0 ? clock.setTimer(() => this.cutOff(), seconds(shutdownTimeout), true) : undefined;
      await empty;
      if (timer) clock.clearTimer(timer);
    }
    this.#host.alarms.clear();
    if (this.#ownsEngine) this.#driver.close();
    this.#sparse.flush();
    this.#log('info', 'shut down');
  }

  private exhausted(error: Error): void {
    this.#sparse.tell('error', 'no file descriptors left: new connections are closed; raise the limit (ulimit -n)', {
      err: error.message,
      connections: this.#admission.count,
    });
  }

  private cutOff(): void {
    this.#log('warn', 'shutdown timeout: closing connections', { connections: this.#open.size });
    for (const stream of this.#open) stream.destroy();
  }

  private accept(socket: Socket): void {
    const peer = plainAddress(socket.remoteAddress);
    socket.on('error', () => {});
    if (this.#closing || !this.admits(peer)) return void socket.destroy();
    this.track(socket, peer);
    if (this.#tls) {
      // A client that closes during the handshake is gone; a half-open socket would not show it.
      socket.allowHalfOpen = false;
      this.#tls.emit('connection', socket);
    } else {
      this.serve(socket, peer);
    }
  }

  private admits(peer: string): boolean {
    if (this.#admission.admit(peer)) return true;
    this.#sparse.tell('warn', 'connection refused: too many connections', { peer, connections: this.#admission.count });
    return false;
  }

  private track(stream: Duplex, peer: string): void {
    this.#open.add(stream);
    stream.once('close', () => {
      this.#open.delete(stream);
      this.#admission.leave(peer);
      if (this.#open.size === 0) this.#whenEmpty?.();
    });
  }

  private serve(stream: Duplex, peer: string): void {
    try {
      new TcpSession(stream, this.#host, peer);
    } catch (error) {
      this.#host.log('error', 'a connection failed and was closed', {
        peer,
        err: String((error as Error).stack ?? error),
      });
      stream.destroy();
    }
  }

  private createTls(tls: { cert: Buffer; key: Buffer }): TlsServer {
    const { readTimeout } = this.#options;
    try {
      const server = createTlsServer({
        ...tls,
        minVersion: 'TLSv1.2',
        handshakeTimeout: seconds(readTimeout),
      });
      server.on('secureConnection', (socket) => {
        socket.allowHalfOpen = true;
        this.serve(socket, plainAddress(socket.remoteAddress));
      });
      server.on('tlsClientError', (error, socket) => {
        this.#sparse.tell('debug', 'TLS handshake failed', { err: error.message });
        socket.destroy();
      });
      return server;
    } catch (error) {
      throw new ConfigError(`daemon options tlsCert, tlsKey: ${(error as Error).message}`, { cause: error });
    }
  }

  private sessionHost(): SessionHost {
    const options = this.#options;
    const driver = this.#driver;
    const admission = this.#admission;
    const sparse = this.#sparse;
    // For events that clients cause.
    const log: DaemonLogger = (level, message, attributes) => sparse.tell(level, message, attributes);
    const touch = (): void => driver.touch();
    const replyBatch = new ReplyBatch(driver.clock, touch);
    const scheduler = new RequestScheduler(driver.clock, touch, () => replyBatch.changes);
    const statsFailed = (error: unknown): void => log('error', 'stats failed', { err: String(error) });
    return {
      driver,
      log,
      stats: new StatsDesk(driver.engine, driver.clock, scheduler, () => admission.count, statsFailed),
      signalMemory: new SignalMemory(),
      alarms: new Alarms(driver.clock),
      replyBatch,
      scheduler,
      endings: new TurnLimiter(driver.clock, ENDINGS_PER_TURN),
      pushes: new TurnLimiter(driver.clock, PUSHES_PER_TURN, touch),
      readTimeoutMs: seconds(options.readTimeout),
      writeTimeoutMs: seconds(options.writeTimeout),
      autoRelease: options.autoReleaseOnDisconnect,
      authToken: options.authToken === undefined ? undefined : Buffer.from(options.authToken, 'latin1'),
    };
  }
}
brand(DflockdServer, 'DflockdServer');
printAs('DflockdServer', DflockdServer);
