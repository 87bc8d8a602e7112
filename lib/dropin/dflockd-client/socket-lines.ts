import type { Socket } from 'node:net';
import { type Alarm, Alarms } from '../../common/alarms.js';
import { refuseOtherLayouts } from '../../common/copies.js';
import { LockError } from '../../common/errors.js';
import { printAs } from '../../common/inspection.js';
import { sharedSymbol } from '../../common/shared-state.js';
import { type Ms, systemClock } from '../../common/system.js';
import { DEFAULT_READ_TIMEOUT_S } from '../../protocol/limits.js';
import type { Receiver } from './open-socket.js';
import { TextLines } from './text-lines.js';

/** Most UTF-16 units of a reply. */
const REPLY_CAP = 1024 * 1024;
/** Most UTF-16 units kept for the next call while no request is pending. */
const LEFT_OVER_CAP = 2 * REPLY_CAP;

/** How long a reply that need not wait may take. By then, the server would have closed the connection. */
export const ANSWER_MS: Ms = DEFAULT_READ_TIMEOUT_S * 1000;

interface Waiting {
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

/** The property of a socket that holds its reader: all copies of this package find it. A WeakMap is slower. */
const READER: unique symbol = sharedSymbol('socket-lines') as never;

type Read = Socket & { [READER]?: SocketLines };

const CLOSED = 'server closed connection';

/** The deadlines of all sockets, on a single timer. The sockets keep the process alive. */
const patience = new Alarms(systemClock);

export const closedByServer = (): LockError => new LockError(CLOSED);

/**
 * Requests and reply lines on one socket. Each socket has one of these from the first call on: the next call reads what
 * a call left unread, and what arrived between calls.
 */
export class SocketLines implements Receiver, Alarm {
  due: Ms = Infinity;
  slot = -1;
  /** Called once, when nothing more will be received. */
  whenEnded: ((error?: Error) => void) | undefined;
  private text = new TextLines(REPLY_CAP);
  private readonly waiting: Waiting[] = [];
  /** Why no more requests can be sent; undefined while they can. */
  private over: string | undefined;
  /** The error message if the expected reply does not arrive in time; empty if none is expected. */
  private expected = '';

  private constructor(readonly socket: Socket) {
    refuseOtherLayouts();
    socket.on('end', this.onClose);
    socket.on('error', this.onError);
    socket.on('close', this.onClose);
    (socket as Read)[READER] = this;
  }

  /** The reader of any socket. */
  static of(socket: Socket): SocketLines {
    return SocketLines.readerOf(socket) ?? SocketLines.listeningTo(socket);
  }

  /** The reader of a socket that passes its input to `receive` of `readerOf` it. */
  static fedBy(socket: Socket): SocketLines {
    return new SocketLines(socket);
  }

  static readonly readerOf = (socket: Socket): SocketLines | undefined => (socket as Read)[READER];

  private static listeningTo(socket: Socket): SocketLines {
    const lines = new SocketLines(socket);
    socket.on('data', lines.onData);
    socket.resume();
    return lines;
  }

  /** Stops reading from a socket, and returns what was left unread to the next reader. */
  static takeOver(socket: Socket): TextLines | undefined {
    const lines = (socket as Read)[READER];
    if (!lines) return undefined;
    delete (socket as Read)[READER];
    socket.removeListener('data', lines.onData);
    socket.removeListener('end', lines.onClose);
    socket.removeListener('error', lines.onError);
    socket.removeListener('close', lines.onClose);
    lines.stop('the socket has been taken over by a SignalConnection');
    return lines.text;
  }

  /** Plain data, without what was read, which may contain tokens. */
  toJSON(): object {
    return { waiting: this.waiting.length, isOver: this.isOver };
  }

  /** Whether nothing more will be received. */
  get isOver(): boolean {
    return this.over !== undefined;
  }

  /** Resolves when the socket is connected; call it before any request. @param event that of this kind of socket */
  connected(event: 'connect' | 'secureConnect'): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.on(event, () => {
        this.relax();
        this.waiting.shift()?.resolve('');
      });
    });
  }

  /**
   * Sets the deadline of the last request. If its reply is late, the lines end.
   * @param what the name of the request, or a complete error message
   */
  expect(ms: Ms, what: string): void {
    if (this.waiting.length === 0) return;
    this.expected = what.includes(' ') ? what : `no answer to ${what} within ${ms} ms`;
    patience.set(this, systemClock.now() + ms);
  }

  /** Alarm. After a stall, timers run before input is read: the reply may already have arrived. */
  ring(): void {
    systemClock.afterPoll(() => {
      if (this.expected !== '') this.stop(this.expected);
    });
  }

  /** Sends a request in one write; resolves with the line of its reply. Replies come in the order of the requests. */
  ask(request: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const { socket } = this;
      if (this.over !== undefined) return reject(new LockError(this.over));
      if (socket.destroyed || socket.readableEnded || socket.writableEnded) return reject(closedByServer());
      this.waiting.push({ resolve, reject });
      socket.write(request, 'latin1');
      this.serve();
    });
  }

  /** Sends and reads nothing more; pending requests reject. */
  stop(why: string): void {
    if (this.over !== undefined) return;
    this.over = why;
    this.tell();
  }

  /** Only pending requests get the socket's error; later ones are rejected because the socket is closed. */
  private readonly onError = (error: Error): void => {
    if (this.over !== undefined) return;
    this.over = CLOSED;
    this.tell(error);
  };

  private readonly onClose = (): void => this.stop(CLOSED);

  /** Creates an error only if a request gets it: capturing its stack costs more than everything else here. */
  private tell(error?: Error): void {
    const { waiting, over } = this;
    this.relax();
    while (waiting.length > 0) waiting.shift()!.reject(error ?? new LockError(over!));
    this.whenEnded?.(error);
  }

  private readonly onData = (chunk: Buffer | string): void => {
    // Between calls the socket belongs to the caller: if the caller listens to it, its input is not for the next call.
    if (this.waiting.length === 0 && this.socket.listenerCount('data') > 1) return;
    if (this.over === undefined) this.took(this.text.push(chunk));
  };

  /** Receiver */
  receive(bytes: string): void {
    if (this.over === undefined) this.took(this.text.pushBytes(bytes));
  }

  private took(fits: boolean): void {
    this.serve();
    if (!fits || (this.waiting.length === 0 && this.text.unread > LEFT_OVER_CAP)) {
      this.text = new TextLines(REPLY_CAP);
      this.stop(`response too long: more than ${REPLY_CAP} characters without a line break`);
    }
  }

  private serve(): void {
    while (this.waiting.length > 0) {
      const line = this.text.take();
      if (line === undefined) return;
      if (this.waiting.length === 1) this.relax();
      this.waiting.shift()!.resolve(line);
    }
  }

  private relax(): void {
    if (this.expected === '') return;
    this.expected = '';
    patience.cancel(this);
  }
}
printAs('SocketLines', SocketLines);
