import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { showAddress } from '../../common/address.js';
import { AcquireTimeoutError, LockError } from '../../common/errors.js';
import { systemClock } from '../../common/system.js';
import { refuseLiveBody } from '../../locks/handle/refuse-live-result.js';
import type { ShardingStrategy } from '../../locks/options/options.js';
import { DEFAULT_READ_TIMEOUT_S } from '../../protocol/limits.js';
import { checkWait } from './checks.js';
import { HoldKeeper } from './hold-keeper.js';
import { HoldSession } from './hold-session.js';
import { checkOptions, chooseServer, type DistributedLockOptions, serversOf, stableHashShard } from './options.js';
import type { Granted } from './replies.js';
import type { Subject } from './requests.js';

const DEFAULT_RATIO = 0.5;
const READ_TIMEOUT_MS = DEFAULT_READ_TIMEOUT_S * 1000;

const newKeeper = (renewRatio: number, readTimeoutMs: number): HoldKeeper =>
  new HoldKeeper(HoldSession.GRANTS, systemClock, renewRatio, readTimeoutMs);

/** The keeper that almost all locks share. */
const usual = newKeeper(DEFAULT_RATIO, READ_TIMEOUT_MS);

const keeperFor = (renewRatio: number, readTimeoutMs: number): HoldKeeper =>
  renewRatio === DEFAULT_RATIO && readTimeoutMs === READ_TIMEOUT_MS ? usual : newKeeper(renewRatio, readTimeoutMs);

/** What a test may replace. */
export interface HoldSurroundings {
  /** The read timeout of the server. Default 23 s. */
  readTimeoutMs?: number | undefined;
}

/** The base class of locks and semaphores: at most one connection at a time, with at most one hold on it. */
export abstract class DistributedHold {
  readonly key: string;
  readonly acquireTimeoutS: number;
  readonly leaseTtlS: number | undefined;
  readonly servers: Array<[host: string, port: number]>;
  readonly shardingStrategy: ShardingStrategy;
  readonly renewRatio: number;
  readonly onLockLost: ((key: string, token: string) => void) | undefined;
  readonly connectTimeoutMs: number | undefined;
  readonly socketTimeoutMs: number | undefined;
  /** The lease of the current hold in seconds, as the server last granted it; 0 while nothing is held. */
  lease = 0;
  // Private, so that printing a lock does not print them.
  readonly #tls: ConnectionOptions | undefined;
  readonly #auth: string | undefined;
  #session: HoldSession | undefined;
  /** The session whose `enqueue()` brought the hold, or whose `wait()` will bring it. */
  #enqueued: HoldSession | undefined;
  /** Whether a connection was made and has been closed. */
  #closed = false;
  readonly #readTimeoutMs: number;
  readonly #keeper: HoldKeeper;

  /** @throws LockError for options that cannot work @internal */
  protected constructor(options: DistributedLockOptions, { readTimeoutMs }: HoldSurroundings = {}) {
    checkOptions(options);
    this.key = options.key;
    this.acquireTimeoutS = options.acquireTimeoutS ?? 10;
    this.leaseTtlS = options.leaseTtlS;
    this.servers = serversOf(options);
    this.shardingStrategy = options.shardingStrategy ?? stableHashShard;
    this.renewRatio = options.renewRatio ?? DEFAULT_RATIO;
    this.#tls = options.tls;
    this.#auth = options.auth;
    this.onLockLost = options.onLockLost;
    this.connectTimeoutMs = options.connectTimeoutMs;
    this.socketTimeoutMs = options.socketTimeoutMs;
    this.#readTimeoutMs = readTimeoutMs ?? READ_TIMEOUT_MS;
    this.#keeper = keeperFor(this.renewRatio, this.#readTimeoutMs);
  }

  /** @internal */
  protected abstract get subject(): Subject;

  get tls(): ConnectionOptions | undefined {
    return this.#tls;
  }

  get auth(): string | undefined {
    return this.#auth;
  }

  /** The token of the current hold; null while nothing is held. */
  get token(): string | null {
    return this.#session?.grantedToken ?? null;
  }

  /** Plain data, without secrets. */
  toJSON(): object {
    const { key, servers, lease } = this;
    return {
      key,
      servers: servers.map(([host, port]) => `${showAddress([host])}:${port}`),
      isHeld: this.token !== null,
      lease,
    };
  }

  /**
   * Connects, waits up to `acquireTimeoutS`, and keeps the lock renewed. Returns false on timeout, and closes the
   * connection.
   * @param options.force closes an existing connection, which is an error otherwise
   * @throws LockError, AuthError, or the error of the socket; the connection is then closed
   */
  async acquire({ force = false }: { force?: boolean | undefined } = {}): Promise<boolean> {
    const session = this.open(force);
    return this.granted(session, session.acquire(this.acquireTimeoutS));
  }

  /**
   * Connects and takes a place in the queue. `'acquired'`: the lock is held, and renewed from now on. `'queued'`: call
   * `wait()` next.
   * @throws as acquire
   */
  async enqueue({ force = false }: { force?: boolean | undefined } = {}): Promise<'acquired' | 'queued'> {
    const session = this.open(force);
    try {
      const granted = await session.enqueue();
      if (!granted) return 'queued';
      this.assertOpen(session);
      this.#enqueued = session;
      return 'acquired';
    } catch (error) {
      this.drop(session);
      throw error;
    }
  }

  /**
   * Waits in the place that `enqueue()` took. Returns false on timeout, and closes the connection.
   * @param timeoutS seconds, a whole number; default `acquireTimeoutS`
   * @throws as acquire, and LockError if there is no place
   */
  async wait(timeoutS: number = this.acquireTimeoutS): Promise<boolean> {
    checkWait('timeoutS', timeoutS);
    const session = this.#session;
    if (!session)
      throw new LockError(this.#closed ? 'the connection is closed' : 'not connected: call enqueue() first');
    if (session.isHeld && session === this.#enqueued) {
      if (await session.check()) return true;
      throw new LockError('the lock is lost');
    }
    if (!session.isQueued) throw new LockError('not enqueued: call enqueue() first');
    this.#enqueued = session;
    return this.granted(session, session.wait(timeoutS));
  }

  /**
   * Releases the lock and closes the connection. The server's reply is ignored: closing the connection releases as
   * well.
   * @throws LockError if already released or closed
   */
  async release(): Promise<void> {
    if (this.#closed) throw new LockError('already released or closed');
    this.#closed = true;
    const session = this.#session;
    if (!session) {
      this.lease = 0;
      return;
    }
    await session.release();
    this.drop(session);
  }

  /**
   * Runs `fn` under the lock and releases it afterwards. An error of `fn` takes precedence over one of the release.
   * @throws AcquireTimeoutError, as acquire, what `fn` throws, and ConfigError if `fn` returned something that would
   *   keep running without the lock (an Observable, a generator, an async iterator, a readable stream)
   */
  async withLock<T>(fn: () => T | Promise<T>): Promise<T> {
    if (!(await this.acquire())) throw new AcquireTimeoutError(this.key);
    let result: T;
    try {
      result = await fn();
      refuseLiveBody(result, this.key);
    } catch (error) {
      await this.release().catch(() => undefined);
      throw error;
    }
    await this.release();
    return result;
  }

  /** Closes the connection without a release; the server then frees the lock. Idempotent. */
  close(): void {
    this.#closed = true;
    if (this.#session) this.drop(this.#session);
    // A program may have set this public field.
    this.lease = 0;
  }

  /** @internal The current connection. */
  protected get sock(): Socket | null {
    return this.#session?.connection ?? null;
  }

  private open(force: boolean): HoldSession {
    if (this.#session) {
      if (!force) throw new LockError('already connected: release() or close() first, or use force');
      this.drop(this.#session);
    }
    this.#closed = true;
    const { key, servers, shardingStrategy, tls, auth, connectTimeoutMs } = this;
    const [host, port] = chooseServer(key, servers, shardingStrategy);
    this.#closed = false;
    const session: HoldSession = new HoldSession(
      {
        subject: this.subject,
        to: { host, port, tls, auth, connectTimeoutMs },
        leaseTtlS: this.leaseTtlS,
        socketTimeoutMs: this.socketTimeoutMs,
        readTimeoutMs: this.#readTimeoutMs,
      },
      {
        held: (granted) => this.begin(granted),
        renewed: (leaseS) => (this.lease = leaseS),
        lost: (token) => this.lost(session, token),
      },
      this.#keeper,
    );
    return (this.#session = session);
  }

  private async granted(session: HoldSession, pending: Promise<Granted>): Promise<boolean> {
    try {
      await pending;
      this.assertOpen(session);
      return true;
    } catch (error) {
      this.drop(session);
      if (error instanceof AcquireTimeoutError) return false;
      throw error;
    }
  }

  /** The session may have been closed, or the lock lost, before the caller gets its result. */
  private assertOpen(session: HoldSession): void {
    if (this.#session !== session) throw new LockError('connection closed');
  }

  private begin({ lease }: Granted): void {
    this.lease = lease;
  }

  /** Ends a session. If another one has replaced it, nothing else changes. */
  private drop(session: HoldSession): void {
    session.end();
    if (this.#session !== session) return;
    this.#session = undefined;
    this.#enqueued = undefined;
    this.#closed = true;
    this.lease = 0;
  }

  private lost(session: HoldSession, token: string): void {
    this.drop(session);
    const told = this.onLockLost;
    if (!told) return;
    void (async () => told(this.key, token))().catch(() => undefined);
  }
}
