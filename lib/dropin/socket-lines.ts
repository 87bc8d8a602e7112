import type { Socket } from 'node:net';
import { LockError } from '../common/errors.js';
import { TextLines } from './text-lines.js';

/** UTF-16 units of a reply. */
const REPLY_CAP = 1024 * 1024;
/** What is kept for the next call while nobody asks. */
const LEFT_OVER_CAP = 2 * REPLY_CAP;

interface Waiting {
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

/** Where a socket keeps its reader; both copies of this package find it there, and a WeakMap is slower. */
const READER = Symbol.for('nestjs-dflockd:socket-lines');

type Read = Socket & { [READER]?: SocketLines };

const CLOSED = 'server closed connection';

export const closedByServer = (): LockError => new LockError(CLOSED);

/**
 * Requests and reply lines on one socket. There is one of these for each socket, from the first call on: what a call left
 * unread, and what comes between calls, serves the next one.
 */
export class SocketLines {
  /** Told once, when nothing more will come. */
  whenEnded: ((error?: Error) => void) | undefined;
  private text = new TextLines(REPLY_CAP);
  private readonly waiting: Waiting[] = [];
  /** Why nothing more can be asked. */
  private over: string | undefined;

  private constructor(private readonly socket: Socket) {
    socket.on('data', this.onData);
    socket.on('end', this.onClose);
    socket.on('error', this.onError);
    socket.on('close', this.onClose);
    socket.resume();
  }

  static of(socket: Socket): SocketLines {
    return ((socket as Read)[READER] ??= new SocketLines(socket));
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

  /** Nothing more will come. */
  get isOver(): boolean {
    return this.over !== undefined;
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
    while (waiting.length > 0) waiting.shift()!.reject(error ?? new LockError(over!));
    this.whenEnded?.(error);
  }

  private readonly onData = (chunk: Buffer | string): void => {
    if (this.over !== undefined) return;
    // Between calls the socket is the caller's: where it listens itself, what comes is not for the next call.
    if (this.waiting.length === 0 && this.socket.listenerCount('data') > 1) return;
    const fits = this.text.push(chunk);
    this.serve();
    if (!fits || (this.waiting.length === 0 && this.text.unread > LEFT_OVER_CAP)) {
      this.text = new TextLines(REPLY_CAP);
      this.stop(`response too long: more than ${REPLY_CAP} characters without an end`);
    }
  };

  private serve(): void {
    while (this.waiting.length > 0) {
      const line = this.text.take();
      if (line === undefined) return;
      this.waiting.shift()!.resolve(line);
    }
  }
}
