import { Alarms } from '../../common/alarms.js';
import { Callbacks } from '../../common/callbacks.js';
import { LockLostError, ShuttingDownError } from '../../common/errors.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import type { Answer, Command } from '../../core/types.js';
import { StoredFences } from '../../daemon/fences/stored-fences.js';
import type { LockdServer } from '../../daemon/lockd/lockd-server.js';
import { createEngine } from '../../daemon/shared/create-engine.js';
import type { DaemonLogger } from '../../daemon/shared/logger.js';
import { DflockdServer } from '../../daemon/server.js';
import { toBytes } from '../../protocol/bytes.js';
import { LINE_CAP } from '../../protocol/limits.js';
import type { ServerStats } from '../../protocol/server-stats.js';
import type {
  AcquireRequest,
  Capabilities,
  Grant,
  LinkEvent,
  LockBackend,
  LockKind,
  Pending,
  Proof,
  SignalTaker,
  Released,
  Waiter,
} from '../backend.js';
import { acquireError, EmbeddedAcquire } from './embedded-acquire.js';
import type { EmbeddedConfig } from './options.js';
import { EmbeddedSession, type OnAnswer } from './embedded-session.js';
import { EMBEDDED, EmbeddedGrant } from './embedded-grant.js';
import { engineKind } from './engine-kind.js';
import { EmbeddedSignals } from './embedded-signals.js';
import { embeddedStats } from './embedded-stats.js';

const CAPABILITIES: Capabilities = Object.freeze({
  ownership: 'lease',
  order: 'strict',
  fence: 'per-key',
  semaphores: true,
  tickets: true,
  signals: true,
  inspect: 'key',
  leaseUnitMs: 1,
  minLeaseMs: 1,
  waitUnitMs: 1,
  maxKeyBytes: LINE_CAP,
  keepAfterRelease: false,
});

/** The lock engine in this process, with listeners for other processes if `listen` or `lockdPort` is set. */
export class EmbeddedBackend implements LockBackend<ServerStats> {
  readonly name = EMBEDDED;
  readonly capabilities = CAPABILITIES;
  private readonly fences: StoredFences | undefined;
  private readonly driver: EngineDriver;
  private readonly session: EmbeddedSession;
  private readonly signals: EmbeddedSignals;
  private readonly waits: Alarms;
  private readonly links = new Callbacks<[event: LinkEvent]>();
  private server: DflockdServer | undefined;
  /** The port for clients of lockd, if it is the only one; otherwise it is one of the server's. */
  private lockd: LockdServer | undefined;
  private starting: Promise<Capabilities> | undefined;
  private closed = false;

  constructor(
    private readonly config: EmbeddedConfig,
    private readonly clock: Clock,
    private readonly entropy: Entropy,
  ) {
    const { server, defaultLeaseTtl } = config;
    const { fenceStateFile } = server;
    if (fenceStateFile) this.fences = new StoredFences(fenceStateFile, clock, this.log);
    this.driver = createEngine({ ...server, defaultLeaseTtl }, clock, entropy, this.log, undefined, this.fences);
    this.session = new EmbeddedSession(this.driver, clock);
    this.signals = new EmbeddedSignals(this.driver, clock);
    this.waits = new Alarms(clock, true);
  }

  /** The address on which other processes reach this engine; undefined without `listen`. */
  get address(): { readonly host: string; readonly port: number } | undefined {
    return this.server?.address();
  }

  /**
   * @throws ConfigError if the port is in use: another engine listens there, and two engines would mean two holders; or if
   * the fence state file cannot be used
   */
  start(): Promise<Capabilities> {
    return (this.starting ??= this.listen().catch(async (error: unknown) => {
      await this.fences?.release();
      // The port and the file may be free by the next attempt.
      this.starting = undefined;
      throw error;
    }));
  }

  async tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    this.assertOpen();
    const { limit, leaseMs } = req;
    const kind = engineKind(req.kind);
    const key = toBytes(req.key);
    const validFrom = this.clock.now();
    const answer = await this.ask({ t: 'acquire', kind, key, limit, waitMs: 0, leaseMs });
    if (answer.s === 'granted') return new EmbeddedGrant(req, key, answer.token, validFrom, answer.leaseMs);
    if (answer.s === 'timeout' || answer.s === 'max_waiters') return null;
    throw acquireError(answer, req);
  }

  /** Every caller has its own place in the engine's queue, with or without a ticket. */
  enqueue(req: AcquireRequest, _mode: 'queue' | 'ticket', waiter: Waiter): Pending {
    this.assertOpen();
    return new EmbeddedAcquire(req, this.session, this.clock, this.waits, waiter);
  }

  async renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    const { req, token, bytes: key } = grant as EmbeddedGrant;
    const validFrom = this.clock.now();
    const answer = await this.ask({ t: 'renew', kind: engineKind(req.kind), key, token, leaseMs });
    if (answer.s === 'renewed') return { validFrom, leaseMs: answer.leaseMs };
    throw new LockLostError(req.key, 'rejected', { server: EMBEDDED });
  }

  release(grant: Grant, done: (outcome: Released) => void, keepMs = 0): void {
    const { req, token, bytes: key } = grant as EmbeddedGrant;
    if (this.closed) return done('gone');
    const freed: OnAnswer = ({ s }) => done(s === 'ok' || s === 'renewed' ? 'released' : 'gone');
    if (keepMs > 0) this.session.exec({ t: 'renew', kind: engineKind(req.kind), key, token, leaseMs: keepMs }, freed);
    else this.session.exec({ t: 'release', kind: engineKind(req.kind), key, token }, freed);
  }

  abandon(grant: Grant): void {
    this.release(grant, () => undefined);
  }

  async isLocked(key: string, kind: LockKind): Promise<boolean> {
    return this.driver.engine.isHeld(engineKind(kind), toBytes(key));
  }

  async stats(): Promise<ServerStats[]> {
    return [{ server: EMBEDDED, ...(await embeddedStats(this.driver, this.server?.connections ?? 0)) }];
  }

  publish(channel: string, payload: string): Promise<number> {
    return this.signals.publish(channel, payload);
  }

  subscribe(pattern: string, group: string | undefined, taker: SignalTaker): () => void {
    return this.signals.subscribe(pattern, group ?? '', taker);
  }

  async ping(): Promise<void> {
    this.assertOpen();
  }

  /** The embedded engine is never `up` or `down`; `degraded` reports problems of the TCP listener. */
  onLink(callback: (event: LinkEvent) => void): () => void {
    return this.links.add(callback);
  }

  async close(_graceMs: Ms): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.starting?.catch(() => undefined);
    this.signals.close();
    this.session.close();
    // Released locks are not passed on to other processes: their connections end next.
    this.driver.engine.drain(this.clock.now());
    this.driver.touch();
    await this.server?.close();
    await this.lockd?.destroy();
    this.driver.close();
    this.waits.clear();
    await this.fences?.close();
  }

  private async listen(): Promise<Capabilities> {
    const { listen, server } = this.config;
    this.fences?.open();
    const { clock, entropy, driver, log } = this;
    const deps = { clock, entropy, driver, logger: log };
    if (listen) {
      this.server = new DflockdServer(server, deps);
      await this.server.listen();
    } else if (server.lockdPort !== undefined) {
      const { lockdHost: host, lockdPort: port, lockdDump: dump, lockdRegistry: registry, maxLocks } = server;
      const { LockdServer } = await import('../../daemon/lockd/lockd-server.js');
      this.lockd = new LockdServer({ host, port, dump, registry, maxLocks }, deps);
      await this.lockd.listen();
    }
    return CAPABILITIES;
  }

  /** Reports errors and warnings of the daemon as `degraded` events. */
  private readonly log: DaemonLogger = (level, message, attributes) => {
    if (level !== 'error' && level !== 'warn') return;
    const { err, ...rest } = attributes ?? {};
    // The error may include its stack; only the first line is shown.
    const [why] = typeof err === 'string' ? err.split('\n', 1) : [];
    const more =
      why ??
      Object.entries(rest)
        .map(([name, value]) => `${name} ${String(value)}`)
        .join(', ');
    const detail = more === '' ? message : `${message}: ${more}`;
    this.links.tell({ server: EMBEDDED, state: 'degraded', detail });
  };

  /** The engine answers at once, since these commands do not wait. */
  private ask(command: Command): Promise<Answer> {
    return new Promise((resolve) => {
      if (this.closed) resolve({ s: 'cancelled' });
      else this.session.exec(command, resolve);
    });
  }

  private assertOpen(): void {
    if (this.closed) throw new ShuttingDownError({ server: EMBEDDED });
  }
}
