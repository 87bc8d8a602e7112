import type { LockError } from '../../../common/errors.js';
import type { Ms, Timer } from '../../../common/system.js';
import type { Connection, ConnectionEvents, Dialer } from './connection.js';
import { typedError, unavailable } from './redis-errors.js';
import type { DriverSettings } from './settings.js';

/** What a link tells its owner. Called in the turn in which it happens; must not throw. */
export interface LinkListener {
  up(): void;
  down(error: LockError): void;
  message(channel: string, text: string): void;
  invalidated(keys: readonly string[] | null): void;
}

interface Call {
  readonly sentAt: Ms;
  resolve(reply: unknown): void;
  reject(error: LockError): void;
}

/**
 * A connection that is made again whenever it is lost, with one purpose. What is asked of it settles: with an answer, or with
 * an error when the connection is lost or dropped. It is dropped when a request is not answered within the request timeout,
 * even if others are: on a connection that slow, requests would pile up, and renewals would come too late.
 */
export class Link {
  private connection: Connection | undefined;
  /** In the order in which they were sent, which is that of the answers. */
  private readonly calls = new Set<Call>();
  private readonly ending = new Set<Promise<void>>();
  private bound: Ms;
  private retry: Timer | undefined;
  private dialing: Timer | undefined;
  private watchdog: Timer | undefined;
  private state: 'new' | 'dialing' | 'up' | 'waiting' | 'closed' = 'new';
  private lastError: LockError | undefined;
  /** Who waits for the first attempt, or for the one that is under way. */
  private waiting: Pick<Call, 'resolve' | 'reject'>[] = [];
  private preparing = false;
  private upAt: Ms = -Infinity;
  /** No connection has lasted since one was dropped on purpose: that has not helped. */
  private wasKicked = false;
  wasAccepted = false;
  /** What scripts the server has been given on this connection, by their sha1. */
  readonly scripts = new Set<string>();
  /** How many connections have been up so far: tells one from the next. */
  connections = 0;

  /** @param prepare what is asked first on each new connection, before anybody else may */
  constructor(
    private readonly dialer: Dialer,
    private readonly role: 'commands' | 'subscriber',
    private readonly settings: DriverSettings,
    private readonly listener: LinkListener,
    private readonly prepare: (link: Link) => Promise<void> = async () => undefined,
  ) {
    this.bound = settings.minDelayMs;
  }

  get server(): string {
    return this.dialer.server;
  }

  get isUp(): boolean {
    return this.state === 'up';
  }

  get isClosed(): boolean {
    return this.state === 'closed';
  }

  /** Resolves when it is up; rejects when the attempt under way fails, or at once between two attempts. */
  opened(): Promise<void> {
    if (this.state === 'up') return Promise.resolve();
    if (this.state === 'new') this.dial();
    if (this.state !== 'dialing') return Promise.reject(this.lastError ?? this.unavailable('the connection is closed'));
    return new Promise((resolve, reject) => this.waiting.push({ resolve: () => resolve(), reject }));
  }

  call(args: readonly string[]): Promise<unknown> {
    return this.ask((connection) => connection.call(args));
  }

  subscribe(channel: string, isSharded: boolean): Promise<unknown> {
    return this.ask((connection) => connection.subscribe(channel, isSharded));
  }

  unsubscribe(channel: string, isSharded: boolean): void {
    if (this.state === 'up')
      this.ask((connection) => connection.unsubscribe(channel, isSharded)).catch(() => undefined);
  }

  /**
   * Drops the connection and makes a new one: at once, or after the usual delay where the last one was made in this way and has
   * not lasted. One that is being made is left alone: it is new.
   */
  kick(error: LockError = this.unavailable('the connection was dropped')): void {
    if (this.state === 'up') this.lost(error, true);
  }

  /** Resolves when no socket is left. */
  async close(error: LockError = this.unavailable('the connection is closed')): Promise<void> {
    if (this.retry) this.settings.clock.clearTimer(this.retry);
    this.retry = undefined;
    this.state = 'closed';
    this.lastError = error;
    this.drop(error);
    await Promise.all(this.ending);
  }

  private ask(send: (connection: Connection) => Promise<unknown>): Promise<unknown> {
    const { connection } = this;
    if (!connection || (this.state !== 'up' && !this.preparing)) {
      return Promise.reject(this.lastError ?? this.unavailable('not connected'));
    }
    return new Promise((resolve, reject) => {
      const { clock, requestTimeoutMs } = this.settings;
      const call: Call = { sentAt: clock.now(), resolve, reject };
      this.watchdog ??= clock.setTimer(() => this.checkAnswers(), requestTimeoutMs);
      this.calls.add(call);
      send(connection).then(
        (reply) => this.calls.delete(call) && resolve(reply),
        (error: unknown) => this.calls.delete(call) && reject(this.typed(error)),
      );
    });
  }

  private checkAnswers(): void {
    const { clock } = this.settings;
    this.watchdog = undefined;
    if (this.calls.size === 0) return;
    const left = this.patience();
    if (left > 0) this.watchdog = clock.setTimer(() => this.checkAnswers(), left);
    // The process may have been stopped: what has arrived meanwhile is read first.
    else clock.afterPoll(() => this.giveUpIfLate());
  }

  private giveUpIfLate(): void {
    if (this.calls.size === 0 || this.watchdog || !this.connection) return;
    if (this.patience() > 0) return this.checkAnswers();
    this.kick(this.unavailable(`no answer for ${this.settings.requestTimeoutMs} ms`));
  }

  /** How long the oldest request may still take. */
  private patience(): Ms {
    const { clock, requestTimeoutMs } = this.settings;
    const [oldest] = this.calls;
    return oldest!.sentAt + requestTimeoutMs - clock.now();
  }

  private dial(): void {
    const { clock } = this.settings;
    this.state = 'dialing';
    let mine: Connection | undefined;
    const isMine = (): boolean => mine !== undefined && this.connection === mine;
    const failed = (error: unknown): void => {
      if (isMine()) this.lost(this.typed(error), false);
    };
    const events: ConnectionEvents = {
      message: (channel, text) => isMine() && this.listener.message(channel, text),
      invalidated: (keys) => isMine() && this.listener.invalidated(keys),
      closed: failed,
    };
    try {
      this.connection = mine = this.dialer.dial(this.role, events);
    } catch (error) {
      return this.lost(this.typed(error), false);
    }
    this.dialing = clock.setTimer(
      () => failed(this.unavailable(`no connection within ${this.dialer.timeoutMs} ms`)),
      this.dialer.timeoutMs,
    );
    mine.ready
      .then(async () => {
        if (!isMine()) return;
        this.preparing = true;
        await this.prepare(this);
        if (isMine()) this.ready();
      })
      .catch(failed);
  }

  private ready(): void {
    this.stopDialing();
    this.preparing = false;
    this.state = 'up';
    this.wasAccepted = true;
    this.connections++;
    this.lastError = undefined;
    this.upAt = this.settings.clock.now();
    if (!this.wasKicked) this.bound = this.settings.minDelayMs;
    this.listener.up();
    for (const call of this.waiting.splice(0)) call.resolve(undefined);
  }

  private stopDialing(): void {
    if (this.dialing) this.settings.clock.clearTimer(this.dialing);
    this.dialing = undefined;
  }

  private lost(error: LockError, isKick: boolean): void {
    const { clock, entropy, minDelayMs, maxDelayMs } = this.settings;
    if (this.state === 'up' && clock.now() - this.upAt >= maxDelayMs) {
      this.wasKicked = false;
      this.bound = minDelayMs;
    }
    const atOnce = isKick && !this.wasKicked;
    this.wasKicked ||= isKick;
    this.lastError = error;
    this.state = 'waiting';
    const delay = atOnce ? 0 : this.bound * entropy.unit();
    if (!atOnce) this.bound = Math.min(this.bound * 2, maxDelayMs);
    this.retry = clock.setTimer(() => {
      this.retry = undefined;
      this.dial();
    }, delay);
    this.drop(error);
    if (!this.isClosed) this.listener.down(error);
  }

  /** Nothing more is heard of the connection; what was asked of it fails. */
  private drop(error: LockError): void {
    this.stopDialing();
    if (this.watchdog) this.settings.clock.clearTimer(this.watchdog);
    this.watchdog = undefined;
    this.preparing = false;
    this.scripts.clear();
    const { connection } = this;
    this.connection = undefined;
    if (connection) {
      const end: Promise<void> = connection.destroy().then(() => void this.ending.delete(end));
      this.ending.add(end);
    }
    const open = [...this.calls, ...this.waiting.splice(0)];
    this.calls.clear();
    for (const call of open) call.reject(error);
  }

  private typed(error: unknown): LockError {
    return typedError(error, { server: this.server, wasAccepted: this.wasAccepted, isConnecting: this.state !== 'up' });
  }

  private unavailable(text: string): LockError {
    return unavailable(this.server, text);
  }
}
