import type { Socket } from 'node:net';
import { afterMicrotasks } from '../../../common/system.js';

interface Chunk {
  readonly chunk: Buffer | string;
  readonly encoding: BufferEncoding;
}
type Done = (error?: Error | null) => void;

/** So much is handed to the kernel at once. */
const MOST_BYTES = 64 * 1024;

/**
 * Node hands each answer to pipelined requests to the kernel by itself, and writes the next when that is done. On a socket
 * with this, an answer counts as written at once, and those that follow one another go to the kernel together. While the
 * kernel has not taken what it was handed, nothing more counts as written: a client that does not read is noticed as before.
 */
export class GatheredWrites {
  private readonly handOn: (chunks: Chunk[], done: Done) => void;
  private chunks: Chunk[] = [];
  private bytes = 0;
  /** Whether the kernel has yet to take what it was handed, and what is written then. */
  private isWriting = false;
  private next: (() => void) | undefined;
  private isLooking = false;
  private hasMore = false;
  private isStopped = false;

  constructor(private readonly socket: Socket) {
    this.handOn = (socket as Required<Socket>)._writev.bind(socket);
    const final = socket._final.bind(socket);
    const destroy = socket._destroy.bind(socket);
    socket._write = (chunk: Buffer | string, encoding, done) => this.take([{ chunk, encoding }], done);
    socket._writev = (chunks: Chunk[], done) => this.take(chunks, done);
    socket._final = (done) => {
      this.flush();
      // The kernel is told of the end when it has the rest: a socket that is being shut down could not be reset.
      if (this.isWriting) this.next = () => final(done);
      else final(done);
    };
    socket._destroy = (error, done) => {
      this.flush();
      destroy(error, done);
    };
  }

  /** Whether the kernel has not taken what it was handed, although it may count as written. */
  get isWaiting(): boolean {
    return this.isWriting;
  }

  /** From now on, each write counts as written when the kernel has taken it. */
  stop(): void {
    this.flush();
    this.isStopped = true;
  }

  private take(chunks: Chunk[], done: Done): void {
    if (this.isWriting) {
      this.next = () => this.take(chunks, done);
      return;
    }
    if (this.isStopped) return this.handOn(chunks, done);
    for (const one of chunks) {
      if (one.chunk.length > 0) this.chunks.push(one);
      this.bytes += one.chunk.length;
    }
    if (this.bytes >= MOST_BYTES) this.flush();
    this.hasMore = true;
    // Makes Node write the next answer in the same queue as `look`, and before it.
    done();
    if (this.isLooking) return;
    this.isLooking = true;
    afterMicrotasks(this.look);
  }

  private readonly look = (): void => {
    this.isLooking = this.hasMore;
    if (!this.hasMore) return this.flush();
    this.hasMore = false;
    afterMicrotasks(this.look);
  };

  private flush(): void {
    const { chunks } = this;
    if (chunks.length === 0) return;
    this.chunks = [];
    this.bytes = 0;
    this.isWriting = true;
    this.handOn(chunks, (error) => {
      this.isWriting = false;
      // Nobody else waits for it.
      if (error) return void this.socket.destroy(error);
      const { next } = this;
      this.next = undefined;
      next?.();
    });
  }
}
