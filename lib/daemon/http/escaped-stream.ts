import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Most bytes that may wait for the parser. */
const UNREAD_CAP = 256 * 1024;

const isRaw = (byte: number): boolean => byte >= 0x80;

/**
 * What a client sends, with one request whose target has raw bytes from 0x80, which Node's parser refuses and the
 * original takes: they are escaped, and the rest is passed on as it is. Answers go to the socket.
 */
export class EscapedStream extends Duplex {
  /** @param start the bytes from the beginning of the request, which may end within its target */
  constructor(
    private readonly socket: Socket,
    start: Buffer,
  ) {
    super();
    this.feed(start);
    socket.once('close', () => this.destroy());
  }

  private isInTarget = true;

  /** What the client has sent since. */
  feed(chunk: Buffer): void {
    // Nobody reads a body behind which a stream of signals began.
    if (this.readableLength > UNREAD_CAP) return void this.socket.destroy();
    if (!this.isInTarget) return void this.push(chunk);
    const end = chunk.indexOf(0x0a);
    const line = end < 0 ? chunk : chunk.subarray(0, end);
    const escaped = [...line]
      .map((byte) => (isRaw(byte) ? `%${byte.toString(16)}` : String.fromCharCode(byte)))
      .join('');
    this.push(Buffer.from(escaped, 'latin1'));
    if (end < 0) return;
    this.isInTarget = false;
    this.push(chunk.subarray(end));
  }

  override _read(): void {
    // Everything has been pushed: a client that sends more than one request's worth is cut off by the parser.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }

  /** As of a socket: streams of signals have their clients probed. */
  setKeepAlive(enable?: boolean, initialDelay?: number): this {
    this.socket.setKeepAlive(enable, initialDelay);
    return this;
  }
}

const BEGINNING = /^[A-Z-]+ (?:\/|[a-z]+:\/\/)/;

/** Whether these bytes begin with a method and a target that has a raw byte from 0x80. */
export function hasRawTarget(request: Buffer): boolean {
  const end = request.indexOf(0x0a);
  const line = end < 0 ? request : request.subarray(0, end);
  return BEGINNING.test(line.toString('latin1')) && line.some(isRaw);
}
