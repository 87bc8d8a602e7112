import type { Duplex } from 'node:stream';
import { Alarms } from '../common/alarms.js';
import { brand } from '../common/brand.js';
import { ConfigError } from '../common/errors.js';
import { printAs } from '../common/inspection.js';
import { type Clock, type Entropy, systemClock, systemEntropy } from '../common/system.js';
import type { EngineDriver } from '../core/driver.js';
import type { EngineObserver } from '../core/observer.js';
import { StoredFences } from './fences/stored-fences.js';
import { ReplyBatch } from './fairness/reply-batch.js';
import { RequestScheduler } from './fairness/request-scheduler.js';
import { SignalMemory } from './fairness/signal-memory.js';
import { StatsDesk } from './fairness/stats-desk.js';
import { TurnLimiter } from './fairness/turn-limiter.js';
import { createEngine } from './shared/create-engine.js';
import { DescriptorWatch } from './shared/descriptor-watch.js';
import { LateListener } from './shared/late-listener.js';
import type { Listener } from './shared/listener.js';
import { type DaemonLogger, harmless, silent, SparseLog } from './shared/logger.js';
import { hostPort, type ListeningAddress } from './shared/open-port.js';
import {
  type DflockdServerOptions,
  type ResolvedServerOptions,
  resolveServerOptions,
  shownServerOptions,
  type ShownServerOptions,
} from './shared/options.js';
import type { HttpService } from './http/http-service.js';
import type { SessionHost } from './tcp/session-host.js';
import { TcpListener } from './tcp/tcp-listener.js';

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

let loadHttp: (server: DflockdServer) => Promise<HttpService>;

/** The HTTP interface of a server, for the handler that is mounted in an application. @internal */
export const httpOf = (server: DflockdServer): Promise<HttpService> => loadHttp(server);

/** A lock daemon that speaks dflockd's protocol, on a TCP port and on any byte stream passed to `handle`. */
export class DflockdServer {
  readonly #options: ResolvedServerOptions;
  readonly #driver: EngineDriver;
  readonly #log: DaemonLogger;
  readonly #sparse: SparseLog;
  readonly #descriptors: DescriptorWatch | undefined;
  readonly #entropy: Entropy;
  readonly #host: SessionHost;
  readonly #tcp: TcpListener;
  readonly #lockd: Listener | undefined;
  /** In the order in which they are opened. */
  readonly #listeners: Listener[];
  #http: Promise<HttpService> | undefined;
  #httpListener: Listener | undefined;
  readonly #ownsEngine: boolean;
  /** Of the engine that this server owns. */
  readonly #fences: StoredFences | undefined;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  static {
    loadHttp = (server) => server.loadHttp();
  }

  /** @throws ConfigError that names option and value */
  constructor(options: DflockdServerOptions = {}, deps: ServerDependencies = {}) {
    this.#options = resolveServerOptions(options);
    this.#log = deps.logger ? harmless(deps.logger) : silent;
    this.#ownsEngine = deps.driver === undefined;
    const { clock = systemClock, entropy = systemEntropy, observer } = deps;
    const { fenceStateFile } = this.#options;
    if (this.#ownsEngine && fenceStateFile) this.#fences = new StoredFences(fenceStateFile, clock, this.#log);
    this.#driver = deps.driver ?? createEngine(this.#options, clock, entropy, this.#log, observer, this.#fences);
    this.#sparse = new SparseLog(this.#log, this.#driver.clock);
    if (deps.logger) this.#descriptors = new DescriptorWatch(this.#driver.clock, (error) => this.exhausted(error));
    this.#entropy = entropy;
    this.#host = this.sessionHost();
    this.#driver.addBacklog(this.#host.scheduler);
    this.#tcp = new TcpListener(this.#options, this.#host, this.#sparse);
    this.#lockd = this.#options.lockdPort === undefined ? undefined : this.lockdListener(this.#options.lockdPort);
    this.#listeners = this.#lockd ? [this.#tcp, this.#lockd] : [this.#tcp];
  }

  /**
   * Opens the port on every address that the host resolves to, or on none.
   * @throws ConfigError if the port is in use on one of them, or an address does not belong to this machine, or if the
   * fence state file cannot be used
   */
  async listen(): Promise<ListeningAddress> {
    if (this.#closing) throw new ConfigError('the server is closed');
    if (this.#opening) throw new ConfigError('the server is already listening');
    this.#opening = this.openAll();
    try {
      await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
    const address = this.address();
    if (!address) throw new ConfigError('the server is closed');
    this.#descriptors?.start();
    this.tellListening('', address);
    if (this.#httpListener?.address) this.tellListening('http ', this.#httpListener.address);
    if (this.#lockd?.address) this.tellListening('lockd ', this.#lockd.address);
    return address;
  }

  /** The address it listens on; undefined while it does not listen. */
  address(): ListeningAddress | undefined {
    return this.#tcp.address;
  }

  /** The address of the port for clients of lockd; undefined while there is none. */
  lockdAddress(): ListeningAddress | undefined {
    return this.#lockd?.address;
  }

  /** The address of the HTTP interface; undefined while it does not listen. */
  httpAddress(): ListeningAddress | undefined {
    return this.#httpListener?.address;
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

  /** The number of open connections to the port of dflockd's protocol, including those in a TLS handshake. */
  get connections(): number {
    return this.#tcp.count;
  }

  /** Serves one client on a stream: an accepted socket, a TLS socket, one half of a pair. */
  handle(stream: Duplex, peer: string): void {
    this.#tcp.handle(stream, peer);
  }

  /**
   * Drains and shuts down (spec 7): the port closes, blocked waits get `error`, the next request on each connection
   * gets `error_draining`. Resolves when all connections are closed; after `shutdownTimeout` the server closes them.
   */
  close(): Promise<void> {
    this.#closing ??= this.shutDown();
    return this.#closing;
  }

  private async openAll(): Promise<void> {
    try {
      this.#fences?.open();
      await this.addHttp();
      for (const listener of this.#listeners) {
        if (this.#closing) throw new ConfigError('the server is closed');
        await listener.open();
      }
    } catch (error) {
      for (const listener of this.#listeners) listener.giveUp();
      await this.#fences?.release();
      throw error;
    }
  }

  private async addHttp(): Promise<void> {
    if (this.#options.httpPort === 0 || this.#httpListener) return;
    const service = await this.loadHttp();
    const { HttpListener } = await import('./http/http-listener.js');
    this.#httpListener = new HttpListener(service);
    this.#listeners.push(this.#httpListener);
  }

  /** The HTTP interface, which is loaded when it is first used. */
  private loadHttp(): Promise<HttpService> {
    this.#http ??= import('./http/http-service.js').then(({ HttpService }) => {
      const http = new HttpService({
        ...this.#host,
        options: this.#options,
        entropy: this.#entropy,
        log: this.#sparse,
        tcpConnections: () => this.#tcp.count,
        tcpTurns: () => this.#host.replyBatch.served,
      });
      if (this.#closing) http.drain();
      return http;
    });
    return this.#http;
  }

  private tellListening(which: '' | 'http ' | 'lockd ', { host, port }: ListeningAddress): void {
    this.#log('info', `${which}listening`, { addr: hostPort(host, port) });
    if (this.#options.tls && which !== 'lockd ') this.#log('info', `${which}TLS enabled`);
  }

  private async shutDown(): Promise<void> {
    const { clock, engine } = this.#driver;
    this.#descriptors?.stop();
    const stopped = this.#listeners.map((listener) => listener.stop()).filter((one) => one !== undefined);
    if (stopped.length > 0) await Promise.all(stopped);
    // It may also be mounted in an application, or be about to listen.
    if (this.#http) (await this.#http).drain();
    this.#log('info', 'shutting down', { connections: this.openConnections });
    if (this.#ownsEngine) engine.drain(clock.now());
    for (const listener of this.#listeners) listener.drain(this.#ownsEngine);
    this.#driver.touch();
    if (this.openConnections > 0) {
      const { shutdownTimeout } = this.#options;
      const timer =
        shutdownTimeout > 0 ? clock.setTimer(() => this.cutOff(), seconds(shutdownTimeout), true) : undefined;
      await Promise.all(this.#listeners.map((listener) => listener.whenEmpty()));
      if (timer) clock.clearTimer(timer);
    }
    for (const listener of this.#listeners) listener.close();
    if (this.#http) (await this.#http).close();
    this.#driver.removeBacklog(this.#host.scheduler);
    if (this.#ownsEngine) this.#driver.close();
    await this.#fences?.close();
    this.#sparse.flush();
    this.#log('info', 'shut down');
  }

  private get openConnections(): number {
    return this.#listeners.reduce((sum, { openConnections }) => sum + openConnections, 0);
  }

  private exhausted(error: Error): void {
    this.#sparse.tell('error', 'no file descriptors left: new connections are closed; raise the limit (ulimit -n)', {
      err: error.message,
      connections: this.connections,
    });
  }

  private cutOff(): void {
    this.#log('warn', 'shutdown timeout: closing connections', { connections: this.openConnections });
    for (const listener of this.#listeners) listener.cutOff();
  }

  private lockdListener(port: number): Listener {
    const { lockdHost, lockdDump: dump, lockdRegistry: registry, ...limits } = this.#options;
    return new LateListener(async () => {
      const { LockdListener } = await import('./lockd/lockd-listener.js');
      return new LockdListener({ ...limits, host: lockdHost, port, dump, registry }, this.#host);
    });
  }

  private sessionHost(): SessionHost {
    const options = this.#options;
    const driver = this.#driver;
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
      stats: new StatsDesk(driver.engine, driver.clock, scheduler, () => this.#tcp.count, statsFailed),
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
