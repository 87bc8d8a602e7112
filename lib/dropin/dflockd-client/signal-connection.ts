import { brand } from '../../common/brand.js';
import { printAs } from '../../common/inspection.js';
import { refuseOtherLayouts } from '../../common/copies.js';
import type { Socket } from 'node:net';
import { LockError } from '../../common/errors.js';
import { microtask, systemClock, type Timer } from '../../common/system.js';
import type { Signal } from '../../locks/signals/signals.js';
import { toBytes } from '../../protocol/bytes.js';
import { DEFAULT_HOST, DEFAULT_PORT } from '../../protocol/limits.js';
import type { Request } from '../../protocol/messages.js';
import { parsePush } from '../../protocol/reply-decoder.js';
import { encodeRequest } from '../../protocol/request-encoder.js';
import { checkName, checkText } from './checks.js';
import { type ConnectOptions, dialAt } from './dial.js';
import { readCount, readOk } from './replies.js';
import { SignalStream } from './signal-stream.js';
import { SocketLines } from './socket-lines.js';
import { TextLines } from './text-lines.js';

export interface SignalConnectionOptions extends ConnectOptions {
  /** Milliseconds between pings, well below the server's read timeout (23 s); 0: none. Default 15000. */
  heartbeatIntervalMs?: number | undefined;
}

/** Most UTF-16 units of a line. */
const LINE_CAP = 2 * 1024 * 1024;
const HEARTBEAT_MS = 15_000;

interface Command {
  readonly request: Request;
  readonly reply: (line: string) => void;
  readonly fail: (error: Error) => void;
}

/** Publishes and listens on one connection. Signals arrive between the replies to its requests. */
export class SignalConnection implements AsyncIterable<Signal> {
  readonly #sock: Socket;
  readonly #lines: TextLines;
  readonly #listeners: ((signal: Signal) => unknown)[] = [];
  readonly #streams = new Set<SignalStream>();
  /** Pending commands in the order of the calls; only the first has been sent. */
  readonly #commands: Command[] = [];
  #closed = false;
  #timer: Timer | undefined;
  #pinging = false;

  /**
   * @param sock connected, and authenticated if necessary; takes over what earlier calls on it left unread
   * @param heartbeatIntervalMs milliseconds; 0: no heartbeats
   */
  constructor(
    sock: Socket,
    private readonly heartbeatIntervalMs = HEARTBEAT_MS,
  ) {
    this.#sock = sock;
    refuseOtherLayouts();
    this.#lines = SocketLines.takeOver(sock) ?? new TextLines(LINE_CAP);
    this.#lines.cap = LINE_CAP;
    sock.on('data', this.#onData);
    sock.on('end', this.#onEnd);
    sock.on('close', this.#onEnd);
    sock.on('error', this.#onEnd);
    sock.resume();
    if (sock.destroyed || sock.readableEnded) this.end('server closed connection');
    // Read what was taken over later: the caller has yet to add its listeners.
    else microtask(() => this.#closed || this.read());
    this.rearm();
  }

  /** Connects first. @throws LockError, AuthError, or the error of the socket */
  static async connect(options: SignalConnectionOptions = {}): Promise<SignalConnection> {
    return new SignalConnection(await dialAt(options, DEFAULT_HOST, DEFAULT_PORT), options.heartbeatIntervalMs);
  }

  /** @internal */
  protected get sock(): Socket {
    return this.#sock;
  }

  /** Plain data. */
  toJSON(): object {
    return { isClosed: this.isClosed, listeners: this.#listeners.length };
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Subscribes to channels that match; with `group`, each signal goes to one member of the group. @throws LockError */
  async listen(pattern: string, group = ''): Promise<void> {
    checkName('pattern', pattern);
    checkText('group', group);
    const request: Request = { t: 'listen', pattern: toBytes(pattern), group: toBytes(group) };
    return readOk(await this.command(request), 'listen');
  }

  /** Undoes `listen` of the same pattern and group. @throws LockError */
  async unlisten(pattern: string, group = ''): Promise<void> {
    checkName('pattern', pattern);
    checkText('group', group);
    const request: Request = { t: 'unlisten', pattern: toBytes(pattern), group: toBytes(group) };
    return readOk(await this.command(request), 'unlisten');
  }

  /** Sends a signal; returns how many copies the server put into the buffers of listeners. @throws LockError */
  async emit(channel: string, payload: string): Promise<number> {
    checkName('channel', channel);
    checkName('payload', payload);
    return readCount(await this.command({ t: 'signal', channel: toBytes(channel), payload: toBytes(payload) }));
  }

  /** Calls the listener with each signal. Errors that it throws or rejects with are ignored. */
  onSignal(listener: (signal: Signal) => void): void {
    this.#listeners.push(listener);
  }

  offSignal(listener: (signal: Signal) => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at >= 0) this.#listeners.splice(at, 1);
  }

  /** The signals from now on, until the connection closes. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Signal> {
    const stream = new SignalStream((left) => this.#streams.delete(left));
    if (this.#closed) stream.end();
    else this.#streams.add(stream);
    return stream;
  }

  /** Closes the connection; pending calls reject. Idempotent. */
  close(): void {
    this.end('connection closed');
  }

  /** Sends the request when its turn comes; resolves with the line of the reply. */
  private command(request: Request): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new LockError('connection closed'));
      this.#commands.push({ request, reply: resolve, fail: reject });
      if (this.#commands.length === 1) this.send();
    });
  }

  private send(): void {
    this.#sock.write(encodeRequest(this.#commands[0]!.request), 'latin1');
  }

  readonly #onData = (chunk: Buffer | string): void => {
    if (this.#closed) return;
    const fits = this.#lines.push(chunk);
    this.read();
    if (!fits) this.end(`response too long: more than ${LINE_CAP} characters without a line break`);
  };

  private read(): void {
    for (let line = this.#lines.take(); line !== undefined; line = this.#lines.take()) {
      if (line.startsWith('sig ')) this.deliver(parsePush(line));
      else this.answer(line);
    }
  }

  /** A reply without a request announces that the server closes an idle connection (spec 1.1). */
  private answer(line: string): void {
    const command = this.#commands.shift();
    if (!command) return;
    if (this.#commands.length > 0) this.send();
    command.reply(line);
  }

  private deliver(signal: Signal | undefined): void {
    if (!signal) return;
    for (const stream of this.#streams) stream.push(signal);
    for (const listener of [...this.#listeners]) {
      void (async () => listener(signal))().catch(() => undefined);
    }
  }

  private rearm(): void {
    if (this.#closed || !(this.heartbeatIntervalMs > 0)) return;
    this.#timer = systemClock.setTimer(() => {
      this.ping();
      this.rearm();
    }, this.heartbeatIntervalMs);
  }

  private ping(): void {
    if (this.#pinging) return;
    this.#pinging = true;
    const over = (): void => void (this.#pinging = false);
    this.command({ t: 'ping' }).then(over, over);
  }

  readonly #onEnd = (): void => this.end('server closed connection');

  private end(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer) systemClock.clearTimer(this.#timer);
    this.#sock.destroy();
    for (const { fail } of this.#commands.splice(0)) fail(new LockError(why));
    for (const stream of this.#streams) stream.end();
    this.#streams.clear();
  }
}
brand(SignalConnection, 'SignalConnection');
printAs('SignalConnection', SignalConnection);
