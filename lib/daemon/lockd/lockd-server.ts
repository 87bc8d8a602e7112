import { Alarms } from '../../common/alarms.js';
import { ConfigError } from '../../common/errors.js';
import { type Clock, type Entropy, type Ms, systemClock, systemEntropy } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import { ReplyBatch } from '../fairness/reply-batch.js';
import { RequestScheduler } from '../fairness/request-scheduler.js';
import { TurnLimiter } from '../fairness/turn-limiter.js';
import { createEngine } from '../shared/create-engine.js';
import { type DaemonLogger, harmless, silent, SparseLog } from '../shared/logger.js';
import { hostPort, type ListeningAddress } from '../shared/open-port.js';
import type { LockdHost } from './lockd-host.js';
import { LockdListener } from './lockd-listener.js';

const MAX_LOCKS = 1_000_000;
const WRITE_TIMEOUT_MS: Ms = 5_000;
const ENDINGS_PER_TURN = 8;

/** Names have no limit in lockd, so those that have been released are forgotten within two seconds. */
const ENGINE = {
  defaultLeaseTtl: 33,
  leaseSweepInterval: 1,
  gcInterval: 1,
  gcMaxIdle: 1,
  maxLocks: MAX_LOCKS,
  maxWaiters: 0,
  maxSubscriptions: 0,
};

export interface LockdServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly dump: boolean;
  readonly registry: boolean;
  /** Most names of shared locks; default 1,000,000. */
  readonly maxLocks?: number | undefined;
}

export interface LockdDependencies {
  readonly clock?: Clock | undefined;
  readonly entropy?: Entropy | undefined;
  readonly logger?: DaemonLogger | undefined;
  /** The engine of another component, which stops its time. Default: an engine of its own. */
  readonly driver?: EngineDriver | undefined;
}

/** A port of lockd's protocol without a port of dflockd's. */
export class LockdServer {
  private readonly driver: EngineDriver;
  private readonly ownsEngine: boolean;
  private readonly log: DaemonLogger;
  private readonly sparse: SparseLog;
  private readonly host: LockdHost;
  private readonly listener: LockdListener;
  private opened: Promise<void> | undefined;
  private closing: Promise<void> | undefined;
  private isDestroyed = false;

  constructor(options: LockdServerOptions, deps: LockdDependencies = {}) {
    const { clock = systemClock, entropy = systemEntropy, logger, driver } = deps;
    this.log = logger ? harmless(logger) : silent;
    this.ownsEngine = driver === undefined;
    this.driver = driver ?? createEngine(ENGINE, clock, entropy, this.log);
    this.sparse = new SparseLog(this.log, this.driver.clock);
    const { maxLocks = MAX_LOCKS } = options;
    const limits = { maxLocks, maxConnections: 0, maxConnectionsPerIp: 0 };
    this.host = this.sessionHost();
    this.driver.addBacklog(this.host.scheduler);
    this.listener = new LockdListener({ ...options, ...limits }, this.host);
  }

  /** @throws ConfigError if the port is in use, or the address is not this machine's */
  async listen(): Promise<ListeningAddress> {
    if (this.closing) throw new ConfigError('the server is closed');
    this.opened = this.listener.open();
    await this.opened;
    const { address } = this.listener;
    if (!address) throw new ConfigError('the server is closed');
    this.log('info', 'listening', { addr: hostPort(address.host, address.port) });
    return address;
  }

  /** The address it listens on; undefined while it does not listen. */
  get address(): ListeningAddress | undefined {
    return this.listener.address;
  }

  get connections(): number {
    return this.listener.openConnections;
  }

  /** Closes the port. Resolves when all clients have left; until then they are served as before. */
  close(): Promise<void> {
    return (this.closing ??= this.end());
  }

  /** Closes the port and all connections. */
  destroy(): Promise<void> {
    this.isDestroyed = true;
    const closed = this.close();
    this.listener.drain(false);
    return closed;
  }

  /**
   * Closes the port and the connections of clients that hold nothing. The others may release what they hold, but take
   * nothing new; after `patienceMs` they are cut off.
   */
  async shutDown(patienceMs: Ms): Promise<void> {
    const { clock, engine } = this.driver;
    const closed = this.close();
    engine.drain(clock.now());
    this.listener.drain(true);
    const timer = clock.setTimer(() => this.listener.cutOff(), patienceMs, true);
    await closed;
    clock.clearTimer(timer);
  }

  private async end(): Promise<void> {
    await this.opened?.catch(() => undefined);
    await this.listener.stop();
    // Clients may have connected while the port was being opened.
    if (this.isDestroyed) this.listener.drain(false);
    await this.listener.whenEmpty();
    this.listener.close();
    this.driver.removeBacklog(this.host.scheduler);
    if (this.ownsEngine) this.driver.close();
    this.sparse.flush();
  }

  private sessionHost(): LockdHost {
    const { driver, sparse } = this;
    const touch = (): void => driver.touch();
    const replyBatch = new ReplyBatch(driver.clock, touch);
    return {
      driver,
      alarms: new Alarms(driver.clock),
      replyBatch,
      scheduler: new RequestScheduler(driver.clock, touch, () => replyBatch.changes),
      endings: new TurnLimiter(driver.clock, ENDINGS_PER_TURN),
      log: (level, message, attributes) => sparse.tell(level, message, attributes),
      writeTimeoutMs: WRITE_TIMEOUT_MS,
    };
  }
}
