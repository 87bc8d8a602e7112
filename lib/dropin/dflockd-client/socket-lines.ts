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

/** UTF-16 units of a reply. */
const REPLY_CAP = 1024 * 1024;
/** What is kept for the next call while nobody asks. */
const LEFT_OVER_CAP = 2 * REPLY_CAP;

/** How long an answer may take that waits for nothing. The server would have given us up by then. */
export const ANSWER_MS: Ms = DEFAULT_READ_TIMEOUT_S * 1000;

interface Waiting {
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

/** Where a socket keeps its reader; all copies of this package find it there, and a WeakMap is slower. */
const READER: unique symbol = sharedSymbol('socket-lines') as never;

type Read = Socket & { [READER]?: SocketLines };

const CLOSED = 'server closed connection';

/** For what is expected from all servers; one timer. The sockets keep the process alive. */
const patience = new Alarms(systemClock);

export const closedByServer = (): LockError => new LockError(CLOSED);

/**
 * Requests and reply lines on one socket. There is one of these for each socket, from the first call on: what a call left
 * unread, and what comes between calls, serves the next one.
 */
export class SocketLines implements Receiver, Alarm {
  due: Ms = Infinity;
  slot = -1;
  /** Told once, when nothing more will come. */
  whenEnded: ((error?: Error) => void) | undefined;
  private text = new TextLines(REPLY_CAP);
  private readonly waiting: Waiting[] = [];
  /** Why nothing more can be asked. */
  private over: string | undefined;
  /** What does not come in time. */
  private expected = '';

  private constructor(readonly socket: Socket) {
    refuseOtherLayouts();
    socket.on('end', this.onClose);
    socket.on('error', this.onError);
    socket.on('close', this.onClose);
    (socket as Read)[READER] = this;
  }

  /** Of any socket. */
  static of(socket: Socket): SocketLines {
    return SocketLines.readerOf(socket) ?? SocketLines.listeningTo(socket);
  }

  /** Of a socket that `receive`s into `readerOf` it. */
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

  /** Stops reading from a socket; what has been left unread goes to whoever reads on. */
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

  /** Plain data: what it has read may have tokens. */
  toJSON(): object {
    return { waiting: this.waiting.length, isOver: this.isOver };
  }

  /** Nothing more will come. */
  get isOver(): boolean {
    return this.over !== undefined;
  }

  /** Resolves when the socket is connected: what is waited for first. @param event of this kind of socket */
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
   * What has been asked last must be answered in time, or the lines end.
   * @param what was asked, or a message that says it all
   */
  expect(ms: Ms, what: string): void {
    if (this.waiting.length === 0) return;
    this.expected = what.includes(' ') ? what : `no answer to ${what} within ${ms} ms`;
    patience.set(this, systemClock.now() + ms);
  }

  /** Alarm. After a stall timers run before input: the answer may lie there. */
  ring(): void {
    systemClock.afterPoll(() => {
      if (this.expected !== '') this.stop(this.expected);
    });
  }

  /** One request in one write, and the next line. Replies come in the order of the requests. */
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

  /** Nothing more is asked or read. Whoever waits is rejected. */
  stop(why: string): void {
    if (this.over !== undefined) return;
    this.over = why;
    this.tell();
  }

  /** The socket's own error is for those whom it hit; who comes later learns that it is over. */
  private readonly onError = (error: Error): void => {
    if (this.over !== undefined) return;
    this.over = CLOSED;
    this.tell(error);
  };

  private readonly onClose = (): void => this.stop(CLOSED);

  /** Errors are made for those who get them: their stacks cost more than all the rest. */
  private tell(error?: Error): void {
    const { waiting, over } = this;
    this.relax();
    while (waiting.length > 0) waiting.shift()!.reject(error ?? new LockError(over!));
    this.whenEnded?.(error);
  }

  private readonly onData = (chunk: Buffer | string): void => {
    // Between calls the socket is the caller's: where it listens itself, what comes is not for the next call.
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
      this.stop(`response too long: more than ${REPLY_CAP} characters without an end`);
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
