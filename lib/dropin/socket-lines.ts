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

const READERS = new WeakMap<Socket, SocketLines>();

export const closedByServer = (): LockError => new LockError('server closed connection');

/**
 * Requests and reply lines on one socket. There is one of these for each socket, from the first call on: what a call left
 * unread, and what comes between calls, serves the next one.
 */
export class SocketLines {
  /** Told once, when nothing more will come. */
  whenEnded: ((error: Error) => void) | undefined;
  private text = new TextLines(REPLY_CAP);
  private readonly waiting: Waiting[] = [];
  /** Why nothing more can be asked. */
  private over: string | undefined;

  private constructor(private readonly socket: Socket) {
    socket.on('data', this.onData);
    socket.on('end', this.onClose);
    socket.on('error', this.fail);
    socket.on('close', this.onClose);
    socket.resume();
  }

  static of(socket: Socket): SocketLines {
    let lines = READERS.get(socket);
    if (!lines) READERS.set(socket, (lines = new SocketLines(socket)));
    return lines;
  }

  /** Stops reading from a socket; what has been left unread goes to whoever reads on. */
  static takeOver(socket: Socket): TextLines | undefined {
    const lines = READERS.get(socket);
    if (!lines) return undefined;
    READERS.delete(socket);
    socket.removeListener('data', lines.onData);
    socket.removeListener('end', lines.onClose);
    socket.removeListener('error', lines.fail);
    socket.removeListener('close', lines.onClose);
    lines.fail(new LockError('the socket has been taken over by a SignalConnection'));
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

  /** Whoever waits is rejected, as is whoever comes later. */
  readonly fail = (error: Error): void => {
    if (this.over !== undefined) return;
    // The socket's own error is for those whom it hit.
    this.over = error instanceof LockError ? error.message : closedByServer().message;
    for (const { reject } of this.waiting.splice(0)) reject(error);
    this.whenEnded?.(error);
  };

  private readonly onClose = (): void => this.fail(closedByServer());

  private readonly onData = (chunk: Buffer | string): void => {
    if (this.over !== undefined) return;
    // Between calls the socket is the caller's: where it listens itself, what comes is not for the next call.
    if (this.waiting.length === 0 && this.socket.listenerCount('data') > 1) return;
    const fits = this.text.push(chunk);
    this.serve();
    if (!fits || (this.waiting.length === 0 && this.text.unread > LEFT_OVER_CAP)) {
      this.text = new TextLines(REPLY_CAP);
      this.fail(new LockError(`response too long: more than ${REPLY_CAP} characters without an end`));
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
