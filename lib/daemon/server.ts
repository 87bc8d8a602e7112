import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { Alarms } from '../common/alarms.js';
import { ConfigError } from '../common/errors.js';
import { type Clock, type Entropy, systemClock, systemEntropy } from '../common/system.js';
import { EngineDriver } from '../core/driver.js';
import { Engine } from '../core/engine.js';
import { FencedTokens, fenceSeed } from '../core/tokens.js';
import { Admission, plainAddress } from './admission.js';
import { Continuations } from './continuations.js';
import { type DaemonLogger, silent } from './logger.js';
import { type DflockdServerOptions, type ResolvedServerOptions, resolveServerOptions } from './options.js';
import { Portions } from './portions.js';
import type { SessionHost } from './session-host.js';
import { SignalMemory } from './signal-memory.js';
import { StatsDesk } from './stats-desk.js';
import { TcpSession } from './tcp-session.js';
import { Turn } from './turn.js';

/** What a server may be given instead of its own. */
export interface ServerDependencies {
  clock?: Clock;
  entropy?: Entropy;
  logger?: DaemonLogger;
  /** An engine that lives elsewhere (in-process locks): the server is one more door to it and does not stop its time. */
  driver?: EngineDriver;
}

export interface ListeningAddress {
  readonly host: string;
  readonly port: number;
}

/** Each costs some 50 to 100 µs, with what is written and closed. */
const ENDINGS_PER_TURN = 8;
/** Listeners that are written to: each costs some 15 µs. What comes for one while it waits is written together. */
const PUSHES_PER_TURN = 64;

const seconds = (s: number): number => s * 1000;

/** The engine that a server's options describe. */
export function createEngine(
  options: ResolvedServerOptions,
  clock: Clock,
  entropy: Entropy,
  log: DaemonLogger,
): EngineDriver {
  const engine = new Engine(
    {
      defaultLeaseMs: seconds(options.defaultLeaseTtl),
      sweepIntervalMs: seconds(options.leaseSweepInterval),
      gcIntervalMs: seconds(options.gcInterval),
      gcMaxIdleMs: seconds(options.gcMaxIdle),
      maxLocks: options.maxLocks,
      maxWaiters: options.maxWaiters,
      maxSubscriptions: options.maxSubscriptions,
      onNearlyFull: (keys) =>
        log('warn', 'many keys: released ones count until they are forgotten; raise max-locks', {
          keys,
          maxLocks: options.maxLocks,
        }),
    },
    new FencedTokens(entropy, fenceSeed(clock.wall())),
    clock.now(),
  );
  return new EngineDriver(engine, clock);
}

/** A lock daemon that speaks dflockd's protocol: on a TCP port, and on any byte stream that it is handed. */
export class DflockdServer {
  readonly options: ResolvedServerOptions;
  private readonly driver: EngineDriver;
  private readonly log: DaemonLogger;
  private readonly host: SessionHost;
  private readonly admission: Admission;
  private readonly ownsEngine: boolean;
  /** Connections from their acceptance on, before and after a TLS handshake. */
  private readonly open = new Set<Duplex>();
  private listener: Server | undefined;
  private tls: TlsServer | undefined;
  private closing: Promise<void> | undefined;
  private whenEmpty: (() => void) | undefined;

  /** @throws ConfigError naming option and value */
  constructor(options: DflockdServerOptions = {}, deps: ServerDependencies = {}) {
    this.options = resolveServerOptions(options);
    this.log = deps.logger ?? silent;
    this.ownsEngine = deps.driver === undefined;
    this.driver =
      deps.driver ?? createEngine(this.options, deps.clock ?? systemClock, deps.entropy ?? systemEntropy, this.log);
    this.admission = new Admission(this.options.maxConnections, this.options.maxConnectionsPerIp);
    this.host = this.sessionHost();
  }

  /**
   * Opens the port.
   * @throws ConfigError if the port is in use or the address is not this machine's
   */
  async listen(): Promise<ListeningAddress> {
    if (this.closing) throw new ConfigError('the server is closed');
    if (this.listener) throw new ConfigError('the server is listening already');
    const listener = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (s) => this.accept(s));
    this.listener = listener;
    if (this.options.tls) this.tls = this.createTls(this.options.tls);
    const { host, port } = this.options;
    try {
      await new Promise<void>((resolve, reject) => {
        listener.once('error', reject);
        listener.listen({ host, port, backlog: 4096 }, resolve);
      });
    } catch (error) {
      this.listener = undefined;
      throw listenError(host, port, error as NodeJS.ErrnoException);
    }
    listener.on('error', (error) => this.log('error', 'accept failed', { err: error.message }));
    const address = this.address()!;
    this.log('info', 'listening', { addr: hostPort(address.host, address.port) });
    return address;
  }

  /** Where it listens; undefined while it does not. */
  address(): ListeningAddress | undefined {
    const address = this.listener?.address() as AddressInfo | null | undefined;
    return address ? { host: address.address, port: address.port } : undefined;
  }

  /** Open connections, those in a TLS handshake included. */
  get connections(): number {
    return this.admission.count;
  }

  /** Serves one client on a stream: an accepted socket, a TLS socket, one half of a pair. */
  handle(stream: Duplex, peer: string): void {
    if (this.closing || !this.admission.admit(peer)) {
      stream.destroy();
      return;
    }
    this.track(stream, peer);
    this.serve(stream, peer);
  }

  /**
   * Shutdown (spec 7): the port closes, blocked waits get `error`, the next request on each connection `error_draining`.
   * Resolves when all clients have gone; after `shutdownTimeout` they are cut off.
   */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    const { clock, engine } = this.driver;
    this.listener?.close();
    this.log('info', 'shutting down', { connections: this.open.size });
    if (this.ownsEngine) engine.drain(clock.now());
    else for (const stream of this.open) stream.destroy();
    this.driver.touch();
    if (this.open.size > 0) {
      const empty = new Promise<void>((resolve) => (this.whenEmpty = resolve));
      const { shutdownTimeout } = this.options;
      const timer =
        shutdownTimeout > 0 ? clock.setTimer(() => this.cutOff(), seconds(shutdownTimeout), true) : undefined;
      await empty;
      if (timer) clock.clearTimer(timer);
    }
    this.host.alarms.clear();
    if (this.ownsEngine) this.driver.close();
    this.log('info', 'shut down');
  }

  private cutOff(): void {
    this.log('warn', 'shutdown timeout: closing connections', { connections: this.open.size });
    for (const stream of this.open) stream.destroy();
  }

  private accept(socket: Socket): void {
    const peer = plainAddress(socket.remoteAddress);
    if (!this.admission.admit(peer)) {
      this.log('warn', 'connection refused: too many', { peer, connections: this.admission.count });
      socket.destroy();
      return;
    }
    this.track(socket, peer);
    if (this.tls) {
      // Who closes inside the handshake is gone; half-open, nobody would notice.
      socket.allowHalfOpen = false;
      this.tls.emit('connection', socket);
    } else {
      this.serve(socket, peer);
    }
  }

  private track(stream: Duplex, peer: string): void {
    this.open.add(stream);
    // Without a listener an error would be thrown; the session, if there is one yet, listens as well.
    stream.on('error', () => {});
    stream.once('close', () => {
      this.open.delete(stream);
      this.admission.leave(peer);
      if (this.open.size === 0) this.whenEmpty?.();
    });
  }

  private serve(stream: Duplex, peer: string): void {
    try {
      new TcpSession(stream, this.host, peer);
    } catch (error) {
      this.log('error', 'a connection failed and was closed', { peer, err: String((error as Error).stack ?? error) });
      stream.destroy();
    }
  }

  private createTls(tls: { cert: Buffer; key: Buffer }): TlsServer {
    const { readTimeout } = this.options;
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
        this.log('debug', 'TLS handshake failed', { err: error.message });
        socket.destroy();
      });
      return server;
    } catch (error) {
      throw new ConfigError(`daemon options tlsCert, tlsKey: ${(error as Error).message}`, { cause: error });
    }
  }

  private sessionHost(): SessionHost {
    const { driver, options, admission, log } = this;
    const touch = (): void => driver.touch();
    const turn = new Turn(driver.clock, touch);
    const continuations = new Continuations(driver.clock, touch, () => turn.changes);
    const statsFailed = (error: unknown): void => log('error', 'stats failed', { err: String(error) });
    return {
      driver,
      log,
      stats: new StatsDesk(driver.engine, driver.clock, continuations, () => admission.count, statsFailed),
      signalMemory: new SignalMemory(),
      alarms: new Alarms(driver.clock),
      turn,
      continuations,
      endings: new Portions(driver.clock, ENDINGS_PER_TURN),
      pushes: new Portions(driver.clock, PUSHES_PER_TURN, touch),
      readTimeoutMs: seconds(options.readTimeout),
      writeTimeoutMs: seconds(options.writeTimeout),
      autoRelease: options.autoReleaseOnDisconnect,
      authToken: options.authToken === undefined ? undefined : Buffer.from(options.authToken, 'latin1'),
    };
  }
}

/** An IPv6 address in brackets. */
const hostPort = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

function listenError(host: string, port: number, error: NodeJS.ErrnoException): ConfigError {
  const where = hostPort(host, port);
  const text =
    error.code === 'EADDRINUSE'
      ? `${where} is in use already. If a dflockd runs there, connect to it with the option servers: ['${where}']`
      : `cannot listen on ${where}: ${error.message}`;
  return new ConfigError(text, { cause: error, server: where });
}
