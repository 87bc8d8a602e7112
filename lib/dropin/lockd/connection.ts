import { connect, type Socket } from 'node:net';
import { type Alarm, Alarms } from '../../common/alarms.js';
import { LockUnavailableError, ProtocolError } from '../../common/errors.js';
import { type Ms, systemClock } from '../../common/system.js';
import { fromBytes } from '../../protocol/bytes.js';
import { LineDecoder } from '../../protocol/lockd/line-decoder.js';
import { REPLY_LINE_CAP } from '../../protocol/limits.js';
import type { Exchange } from './exchanges.js';
import type { ServerTraits } from './list-exchange.js';
import type { ConnectConfig } from './options.js';

/** The deadlines of all connections, on a single timer. The sockets keep the process alive. */
const patience = new Alarms(systemClock);
/**
 * After this much silence, the kernel asks whether the server is still there. This package's server waits longer, so that
 * a client that is cut off learns of it before others get its locks.
 */
const KEEP_ALIVE_MS: Ms = 30_000;

/** They must not throw. */
export interface ConnectionEvents {
  onConnect(): void;
  onError(error: Error): void;
  /** @param wasAsked by `disconnect` */
  onClose(wasAsked: boolean): void;
}

/** One connection: exchanges in strict order, one at a time. When it ends, all of them are answered. */
export class LockdConnection implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  readonly traits: ServerTraits = { losesLines: false };
  private readonly socket: Socket;
  private readonly label: string;
  private readonly lines = new LineDecoder(REPLY_LINE_CAP);
  private readonly queue: Exchange[] = [];
  private current: Exchange | undefined;
  private isConnected = false;
  /** Why nothing more is sent. */
  private over: Error | undefined;
  private wasAsked = false;
  private isClosed = false;
  private readonly closed: (() => void)[] = [];
  /** Changes with every deadline that is set or called off. */
  private watch = 0;

  constructor(
    private readonly config: ConnectConfig,
    private readonly events: ConnectionEvents,
  ) {
    const { host, port, timeoutMs } = config;
    this.label = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    this.socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
    this.socket.on('connect', () => this.onConnect());
    this.socket.on('data', (chunk: Buffer) => this.onData(chunk));
    this.socket.on('error', (error) => this.onError(error));
    this.socket.on('close', () => this.onClose());
    this.expect(timeoutMs);
  }

  ask(exchange: Exchange): void {
    if (this.over) return exchange.fail(this.over);
    this.queue.push(exchange);
    this.next();
  }

  /** Calls back when the connection is closed. What has been sent is still answered; what is queued fails. */
  disconnect(closed: () => void): void {
    if (this.isClosed) return closed();
    this.closed.push(closed);
    if (this.over) return; // it is closing already
    this.wasAsked = true;
    this.over = this.unavailable('the client has disconnected');
    this.failQueue(this.over);
    if (!this.isConnected) return void this.socket.destroy();
    this.socket.end();
    this.expect(this.config.readTimeoutMs);
  }

  /** Alarm. After a stall, timers run before input is read: the answer may already have arrived. */
  ring(): void {
    const { watch } = this;
    systemClock.afterPoll(() => {
      if (this.watch === watch && !this.isClosed) this.onLate();
    });
  }

  private onConnect(): void {
    this.isConnected = true;
    this.relax();
    this.events.onConnect();
    this.next();
  }

  private onData(chunk: Buffer): void {
    this.lines.push(chunk.toString('latin1'));
    const { current } = this;
    let isProgress = false;
    for (let line = this.lines.next(); line !== undefined && !this.isClosed; line = this.lines.next()) {
      if (line === '') continue;
      isProgress = true;
      this.take(fromBytes(line));
    }
    // A list may be long: it is late only if nothing more of it comes.
    if (isProgress && current && this.current === current && !this.wasAsked) this.expectAnswer(current);
    if (this.lines.isOverlong) this.end(new ProtocolError('a line of the lockd server is too long'));
  }

  private take(line: string): void {
    const { current } = this;
    if (!current) {
      return this.events.onError(new ProtocolError(`Unexpected data received from lockd server: ${line}`));
    }
    try {
      if (!current.take(line)) return;
    } catch (error) {
      // Answers may have shifted: none of them can be trusted.
      return void this.end(error as Error);
    }
    this.current = undefined;
    if (!this.wasAsked) this.relax();
    current.settle();
    this.next();
  }

  private next(): void {
    if (this.current || !this.isConnected || this.over) return;
    const exchange = this.queue.shift();
    if (!exchange) return;
    this.current = exchange;
    this.socket.write(exchange.request);
    this.expectAnswer(exchange);
  }

  private onLate(): void {
    const { config, current } = this;
    if (this.wasAsked) return void this.socket.destroy();
    if (!this.isConnected) return this.onError(this.unavailable(`no connection within ${config.timeoutMs} ms`));
    const more = current?.late?.();
    if (more === undefined) return void this.end(this.unavailable('Expected 1 line but got 0'));
    this.socket.write(more);
    this.expect(config.readTimeoutMs);
  }

  private onError(error: Error): void {
    const ended = this.end(this.unavailable(`the connection to ${this.label} failed: ${error.message}`, error));
    if (ended) this.events.onError(error);
  }

  private onClose(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.end(this.unavailable('the server closed the connection'));
    this.relax();
    for (const closed of this.closed.splice(0)) closed();
    this.events.onClose(this.wasAsked);
  }

  /** Ends the connection, and fails all calls: the first with this error, those behind it because of it. */
  private end(error: Error): boolean {
    const isFirst = this.over === undefined;
    this.over ??= this.unavailable('the connection to the lockd server is closed', error);
    const { current } = this;
    this.current = undefined;
    current?.fail(error);
    this.failQueue(isFirst && !current ? error : this.over);
    this.socket.destroy();
    return isFirst;
  }

  private failQueue(error: Error): void {
    for (const exchange of this.queue.splice(0)) exchange.fail(error);
  }

  private unavailable(message: string, cause?: Error): LockUnavailableError {
    return new LockUnavailableError(message, { server: this.label, cause });
  }

  private expectAnswer({ silenceMs }: Exchange): void {
    this.expect(silenceMs ?? this.config.readTimeoutMs);
  }

  private expect(ms: Ms): void {
    this.watch++;
    patience.set(this, systemClock.now() + ms);
  }

  private relax(): void {
    this.watch++;
    patience.cancel(this);
  }
}
